"""What the sidecar says: one JSON line an event on standard error. Never a secret: callers pass what may be read."""

import json
import sys
import time

from sidecar.credentials import format_time
from sidecar.errors import SidecarError


def emit(event: str, **fields: str | int | bool | None) -> None:
    """Write one line, in one write, so that the lines of two threads or processes do not mix."""
    sys.stderr.write(json.dumps({"time": format_time(time.time()), "event": event, **fields}) + "\n")
    sys.stderr.flush()


def complain(error: SidecarError) -> None:
    """Say why the sidecar ends, as plain text: `kubectl describe` shows it as the container's last message."""
    sys.stderr.write(f"podrole-sidecar: {error}\n")
    sys.stderr.flush()
