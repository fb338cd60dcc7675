"""Measures whether the node's metadata service answers this pod. In env mode nothing in the pod blocks it.

What the service sends is looked at and dropped: it may be a token or name the node's role.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import contract
from sidecar.deadlines import MEASUREMENT_SECONDS
from sidecar.errors import OpenMetadataError
from sidecar.reachability.connections import CONNECTED, Attempt, Outcome, try_all
from sidecar.sockets import parse_reply
from sidecar.time_format import format_time

MAX_RECEIVED_BYTES = 1024
"""Of each response: enough for its head."""

OK = 200
TOKEN = "session tokens"  # noqa: S105 - a description
WITHOUT_TOKEN = "metadata without a token"  # noqa: S105 - as above

REQUESTS = {
    TOKEN: "PUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 1\r\nContent-Length: 0\r\n",
    WITHOUT_TOKEN: "GET /latest/meta-data/ HTTP/1.1\r\n",
}
"""By what the service gives out with them: IMDSv2 and IMDSv1."""


REMEDY = (
    "Set HttpTokens=required and HttpPutResponseHopLimit=1 on the node, or deny traffic to these addresses by a "
    "NetworkPolicy."
)


class Access(NamedTuple):
    """What a process of the pod gets at one address."""

    is_open: bool
    reason: str
    """What it gets, or why it gets nothing."""


class Measurement(NamedTuple):
    """What was measured, and when, in seconds since the epoch."""

    measured_at: float
    addresses: Mapping[str, Access]

    @property
    def is_open(self) -> bool:
        """Whether an app of this pod can get the node's metadata."""
        return any(access.is_open for access in self.addresses.values())

    @property
    def state(self) -> str:
        """For the log and the status."""
        return "open" if self.is_open else "closed"

    @property
    def detail(self) -> str:
        """What each address gives, or why it gives nothing."""
        return "; ".join(f"{address}: {access.reason}" for address, access in self.addresses.items())

    def check_closed(self) -> None:
        """Raise OpenMetadataError if it is open."""
        if self.is_open:
            raise OpenMetadataError(
                "the node's metadata service answers this pod, so its apps can get the node's role, and "
                f"{contract.ENV_REQUIRE_CLOSED_METADATA} is true. {self.detail}. {REMEDY}"
            )

    def build_document(self) -> dict[str, Any]:
        """The measurement as the status has it."""
        addresses = {
            address: {"state": "open" if access.is_open else "closed", "reason": access.reason}
            for address, access in self.addresses.items()
        }
        return {"state": self.state, "measured": format_time(self.measured_at), "addresses": addresses}


def measure(
    addresses: Sequence[str] = contract.EC2_METADATA_ADDRESSES, timeout_seconds: float = MEASUREMENT_SECONDS
) -> Mapping[str, Access]:
    """Request a token and, without one, metadata from port 80 of each address. Raise OSError without free sockets."""
    attempts = [
        Attempt(address, 80, _build_request(head, address)) for address in addresses for head in REQUESTS.values()
    ]
    outcomes = iter(try_all(attempts, timeout_seconds, MAX_RECEIVED_BYTES))
    return {address: judge({given: next(outcomes) for given in REQUESTS}) for address in addresses}


def judge(outcomes: Mapping[str, Outcome]) -> Access:
    """Decide whether an address is open, from the outcome of each request.

    Open: the status 200 to one of them, unless HTML follows, with which a proxy answers for an address that it does
    not know. Any other answer gives no access, such as 401 to the GET where tokens are required and the hop limit
    keeps them from arriving.
    """
    given = [what for what, outcome in outcomes.items() if _is_given(outcome.received)]
    if given:
        return Access(is_open=True, reason=f"gives {' and '.join(given)}")
    first_error = next((outcome.error for outcome in outcomes.values() if outcome.error != CONNECTED), None)
    return Access(is_open=False, reason=first_error or "gives neither tokens nor metadata")


def _is_given(received: bytes) -> bool:
    try:
        reply = parse_reply(received)
    except ValueError:
        return False
    return reply.status == OK and not reply.body.lstrip().startswith(b"<")


def _build_request(head: str, address: str) -> bytes:
    host = f"[{address}]" if ":" in address else address
    return f"{head}Host: {host}\r\nUser-Agent: podrole/{contract.VERSION}\r\nConnection: close\r\n\r\n".encode("ascii")
