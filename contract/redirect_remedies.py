"""What to do about an error of nft, iptables or the container runtime, by its text: the table of docs/redirect.md.

nft runs without a program around it, so only `podrole check` and `podrole preflight --probe` can add the remedy there.
"""

import re

NO_NETLINK = (
    "The kernel (or the sandbox, as in gVisor) has no netfilter netlink: load nfnetlink and nf_tables on the node, set "
    "PODROLE_REDIRECT_BACKEND=iptables with an image whose iptables is the legacy variant, or use another RuntimeClass "
    "or env mode"
)
NO_NF_TABLES = (
    "The kernel has no nf_tables: load nf_tables on the node, or set PODROLE_REDIRECT_BACKEND=iptables with an image "
    "whose iptables is the legacy variant"
)
NO_NETLINK_ALLOWED = (
    "A seccomp profile or a sandbox denies netlink sockets: use seccompProfile RuntimeDefault or another RuntimeClass, "
    "or run the namespace in env mode"
)
NO_NET_ADMIN = (
    "The container lacks NET_ADMIN: capabilities.add must have it, and the image's nft must have it as a file "
    "capability (getcap /usr/sbin/nft prints cap_net_admin=ep) and must not be run by a shell"
)
NO_FAMILY = (
    "The kernel's nf_tables has no family inet or no nat in it (Linux 5.2): use another kernel, or set "
    "PODROLE_REDIRECT_BACKEND=iptables"
)
NO_NAT = "The kernel has no nft_chain_nat: load nft_chain_nat and nf_nat on the node"
NO_REJECT = "The kernel has no nft_reject_inet: load it on the node"
NO_LEGACY4 = "The kernel has no legacy table: load ip_tables, iptable_filter and iptable_nat on the node"
NO_LEGACY6 = "The kernel has no legacy table: load ip6_tables, ip6table_filter and ip6table_nat on the node"
NO_EXTENSION = "The kernel lacks a match or a target: load nft_compat (for iptables-nft), xt_bpf, ip6t_rt and xt_nat"

PLACE = r"No such file or directory[\s\S]{0,200}?"
REMEDIES = (
    (r"exec \S*nft: operation not permitted", NO_NET_ADMIN),
    (r"(Netlink socket|initialize nft): (Protocol|Address family|Socket type) not supported", NO_NETLINK),
    (
        r"(Netlink socket|initialize nft): (Operation not permitted|Permission denied|Function not impl)",
        NO_NETLINK_ALLOWED,
    ),
    (r"cache initialization failed: Invalid argument", NO_NF_TABLES),
    (r"cache initialization failed: Operation not permitted|[Pp]ermission denied \(you must be root\)", NO_NET_ADMIN),
    (r"Could not process rule: Operation not supported", NO_FAMILY),
    (rf"{PLACE}(type nat hook|chain to_sidecar)|CHAIN_ADD failed \(No such file or directory\)", NO_NAT),
    (rf"{PLACE}reject with", NO_REJECT),
    (r"ip6tables\S*[^\n]* initialize (ip6tables )?table", NO_LEGACY6),
    (r"iptables\S*[^\n]* initialize (iptables )?table", NO_LEGACY4),
    (r"RULE_(APPEND|INSERT) failed \(|missing kernel module|Couldn't load (match|target)", NO_EXTENSION),
)
"""The first pattern that is found counts. The texts are those of nft 1.0 and 1.1, and iptables 1.8."""


def find_remedy(message: str) -> str:
    """Return a sentence without its full stop, or an empty string for an unknown error."""
    return next((remedy for pattern, remedy in REMEDIES if re.search(pattern, message)), "")
