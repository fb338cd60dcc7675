"""Verifies that connections to the metadata addresses are rejected at once, from inside the pod.

The rules reject a packet before it leaves the pod. So a timeout shows that they are not in effect, as where a sandbox
or an eBPF program handles connections itself.
"""

from collections.abc import Mapping, Sequence

import contract
from sidecar.deadlines import REJECTION_CHECK_SECONDS
from sidecar.reachability.connections import CONNECTED, NO_ROUTE, REFUSED, Attempt, try_all

HTTP_PORT, OTHER_PORT = 80, 8080
"""The redirect's port, and one that no rule redirects."""


def find_reachable(ports: Sequence[int], addresses: Sequence[str] = contract.METADATA_ADDRESSES) -> Mapping[str, str]:
    """Return what happened by address and port, where a connection was neither refused at once nor without a route.

    Raise OSError without free sockets.
    """
    attempts = [Attempt(address, port) for address in addresses for port in ports]
    outcomes = zip(attempts, try_all(attempts, REJECTION_CHECK_SECONDS), strict=True)
    return {
        f"{attempt.address} port {attempt.port}": "connected" if outcome.error == CONNECTED else outcome.error
        for attempt, outcome in outcomes
        if outcome.error not in {REFUSED, NO_ROUTE}
    }
