"""Verifies the redirect: a connection to each metadata address, from inside the pod, must reach this process."""

import socket
from collections.abc import Mapping, Sequence

import contract
from sidecar.deadlines import SELF_CHECK_SECONDS
from sidecar.errors import RedirectError
from sidecar.sockets import http_get

FORBIDDEN = 403
"""This sidecar's status for a connection that does not look redirected."""

REDIRECTED = "redirected"
NO_ROUTE = "no route"
OTHER_SERVER = "another server responds"
UNTRACKED = "another server responds, or the kernel does not report the original destination (SO_ORIGINAL_DST)"


def verify_redirect(boot_id: str, port: int, addresses: Sequence[str] = contract.METADATA_ADDRESSES) -> None:
    """Raise RedirectError with every address that is reachable but does not lead to this process."""
    check_results({address: _connect(address, boot_id) for address in addresses}, port)


def check_results(results: Mapping[str, str], port: int) -> None:
    """Raise RedirectError unless every address with a route is redirected, and at least one has a route."""
    unredirected = [
        f"  {address}: {result}" for address, result in results.items() if result not in {REDIRECTED, NO_ROUTE}
    ]
    if unredirected:
        header = "the redirect is not in effect. These addresses do not lead to this sidecar:"
        raise RedirectError("\n".join([header, *unredirected, _hint(port)]))
    if REDIRECTED not in results.values():
        raise RedirectError("the pod has no route to any metadata address, so clients cannot reach the sidecar there")


def _connect(address: str, boot_id: str) -> str:
    """Request this process's boot id from port 80 of an address; return REDIRECTED, NO_ROUTE or an error."""
    if not has_route(address):
        return NO_ROUTE
    try:
        reply = http_get(address, 80, contract.BOOT_PATH, SELF_CHECK_SECONDS)
    except OSError as error:
        return error.strerror or str(error)
    except ValueError:
        return OTHER_SERVER
    if reply.status == FORBIDDEN:
        return UNTRACKED
    return REDIRECTED if reply.body == boot_id.encode() else OTHER_SERVER


def has_route(address: str) -> bool:
    """Whether the pod has a local route to the address. An "unreachable" error from a router does not count."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 80))  # looks up the route and sends nothing
    except OSError:
        return False
    return True


def _hint(port: int) -> str:
    return (
        f"The rule that redirects their TCP port 80 to port {port} on loopback is missing (the init container "
        f"{contract.REDIRECT_CONTAINER} loads it; check its log), or "
        "an eBPF program (Cilium's local redirect policies) or the runtime's own network stack bypasses it."
    )
