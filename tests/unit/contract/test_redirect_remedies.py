"""What to do about an error of nft, iptables or the container runtime."""

import pytest

from contract.redirect_remedies import (
    NO_EXTENSION,
    NO_FAMILY,
    NO_LEGACY4,
    NO_LEGACY6,
    NO_NAT,
    NO_NET_ADMIN,
    NO_NETLINK,
    NO_NETLINK_ALLOWED,
    NO_NF_TABLES,
    NO_REJECT,
    find_remedy,
)
from testing.repository import ROOT

NAT_LINE = """\
/etc/podrole/redirect.nft:20:11-20: Error: Could not process rule: No such file or directory
    chain to_sidecar {
          ^^^^^^^^^^
"""
REJECT_LINE = """\
/etc/podrole/block.nft:60:28-48: Error: Could not process rule: No such file or directory
        meta l4proto tcp reject with tcp reset
                         ^^^^^^^^^^^^^^^^^^^^^
"""
LEGACY = "{0}-restore v1.8.9 (legacy): {0}-restore: unable to initialize table 'nat'"


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        pytest.param("", "", id="empty"),
        pytest.param("something else", "", id="unknown"),
        pytest.param("mnl.c:60: Unable to initialize Netlink socket: Protocol not supported", NO_NETLINK, id="nft-1.0"),
        pytest.param("src/mnl.c:64: Unable to initialize Netlink socket: Protocol not supported", NO_NETLINK, id="1.1"),
        pytest.param(
            "mnl.c:60: Unable to initialize Netlink socket: Operation not permitted", NO_NETLINK_ALLOWED, id="seccomp"
        ),
        pytest.param("netlink: Error: cache initialization failed: Invalid argument", NO_NF_TABLES, id="no-nf-tables"),
        pytest.param(
            "netlink: Error: cache initialization failed: Operation not permitted", NO_NET_ADMIN, id="no-net-admin"
        ),
        pytest.param(
            'exec: "nft": exec /usr/sbin/nft: operation not permitted', NO_NET_ADMIN, id="runtime-without-net-admin"
        ),
        pytest.param("redirect.nft:14:1: Error: Could not process rule: Operation not supported", NO_FAMILY, id="inet"),
        pytest.param(NAT_LINE, NO_NAT, id="no-nft-chain-nat"),
        pytest.param(" ".join(NAT_LINE.split()), NO_NAT, id="no-nft-chain-nat-on-one-line"),
        pytest.param(REJECT_LINE, NO_REJECT, id="no-nft-reject"),
        pytest.param(
            "iptables v1.8.9 (nf_tables):  CHAIN_ADD failed (No such file or directory): chain OUTPUT",
            NO_NAT,
            id="iptables-nft-no-nat",
        ),
        pytest.param(
            "iptables-restore v1.8.9 (nf_tables): Could not fetch rule set generation id: "
            "Permission denied (you must be root)",
            NO_NET_ADMIN,
            id="iptables-nft-no-net-admin",
        ),
        pytest.param(LEGACY.format("iptables"), NO_LEGACY4, id="legacy"),
        pytest.param(LEGACY.format("ip6tables"), NO_LEGACY6, id="legacy-ipv6"),
        pytest.param(
            "iptables v1.8.9 (legacy): can't initialize iptables table `nat': Table does not exist",
            NO_LEGACY4,
            id="legacy-jump",
        ),
        pytest.param(
            "Warning: Extension bpf revision 0 not supported, missing kernel module?", NO_EXTENSION, id="match"
        ),
    ],
)
def test_error_has_its_remedy(message: str, remedy: str) -> None:
    assert find_remedy(message) == remedy


def test_time_to_find_a_remedy_in_a_hostile_message_is_bounded() -> None:
    message = "No such file or directory" * 20_000 + "iptables" * 20_000 + "exec /" * 20_000

    assert find_remedy(message[:4096]) == ""


@pytest.mark.parametrize("file", ["redirect.nft", "block.nft"])
def test_comments_that_nft_quotes_name_the_modules_of_the_remedies(file: str) -> None:
    text = (ROOT / "sidecar/redirect" / file).read_text()

    assert "Load nft_reject_inet on the node" in text
    assert ("Load nft_chain_nat and nf_nat on the node" in text) == (file == "redirect.nft")
