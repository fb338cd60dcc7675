"""The line in which the child process returns credentials or a failure to its parent."""

import json

from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure

NO_OUTCOME = Failure(
    "ChildFailed", "The attempt ended without a result; the sidecar's log may have the reason.", is_permanent=False
)


def serialize_outcome(outcome: Credentials | Failure) -> str:
    """Format one JSON object."""
    return json.dumps(outcome._asdict())


def parse_outcome(line: bytes) -> Credentials | Failure:
    """Parse a child's line; anything but complete credentials or a failure is NO_OUTCOME."""
    try:
        document = json.loads(line)
        if not isinstance(document, dict):
            return NO_OUTCOME
        if document.keys() == set(Failure._fields):
            return Failure(**document)
        return Credentials.parse(document)
    except ValueError:
        return NO_OUTCOME
