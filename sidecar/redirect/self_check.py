"""The proof of the rules: each metadata address, dialled from inside the pod, must lead back to this very process."""

import http.client
import socket
from collections.abc import Mapping, Sequence

import contract
from sidecar.errors import RedirectError

TIMEOUT_SECONDS = 2
ARRIVED = "arrived"
UNROUTED = "no route"


def prove_redirect(boot_id: str, port: int, addresses: Sequence[str] = contract.METADATA_ADDRESSES) -> None:
    """Raise RedirectError, naming every address that is reachable but does not lead here."""
    check_results({address: _dial(address, boot_id) for address in addresses}, port)


def check_results(findings: Mapping[str, str], port: int) -> None:
    """Raise RedirectError unless every address that has a route leads here, and one at least has a route."""
    astray = [f"  {address}: {finding}" for address, finding in findings.items() if finding not in {ARRIVED, UNROUTED}]
    if astray:
        message = ["the redirect is not in force. These addresses do not lead to this sidecar:", *astray, _remedy(port)]
        raise RedirectError("\n".join(message))
    if ARRIVED not in findings.values():
        raise RedirectError("the pod has no route to any metadata address, so no client can reach the sidecar there")


def _dial(address: str, boot_id: str) -> str:
    """Say where port 80 of an address leads."""
    if not has_route(address):
        return UNROUTED
    connection = http.client.HTTPConnection(address, 80, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", contract.BOOT_PATH)
        answer = connection.getresponse().read(len(boot_id) + 1)
    except OSError as error:
        return error.strerror or str(error)
    except http.client.HTTPException as error:
        return f"something else answers ({type(error).__name__})"
    finally:
        connection.close()
    return ARRIVED if answer == boot_id.encode() else "something else answers"


def has_route(address: str) -> bool:
    """Whether this pod can send there at all, rules or not. That a router says "unreachable" is no such thing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 80))  # looks up the route, and sends nothing
    except OSError:
        return False
    return True


def _remedy(port: int) -> str:
    return (
        f"The rule that sends their tcp port 80 to port {port} on loopback is missing. "
        f"The init container {contract.REDIRECT_CONTAINER} writes it: its log says whether it could."
    )
