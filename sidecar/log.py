"""What the sidecar says: one JSON line an event on standard error. Never a secret: callers pass what may be read."""

import json
import sys
import time

from sidecar.errors import SidecarError
from sidecar.time_format import format_time

TERMINATION_BYTES = 2048
"""What the kubelet takes from the end of a failed container's log, and 80 lines of it at most."""

CUT = " (cut here)\n"


def emit(event: str, **fields: str | int | bool | None) -> None:
    """Write one line, in one write, so that the lines of two threads or processes do not mix."""
    sys.stderr.write(json.dumps({"time": format_time(time.time()), "event": event, **fields}) + "\n")
    sys.stderr.flush()


def log_fatal(error: SidecarError) -> None:
    """Say why the sidecar ends, as plain text: `kubectl describe` shows it as the container's last message."""
    sys.stderr.write(truncate_termination_message(f"podrole-sidecar: {error}\n"))
    sys.stderr.flush()


def truncate_termination_message(text: str) -> str:
    """Cut a text at its end where it would not fit: of a longer one the kubelet would show the end without the begin.

    https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
    """
    encoded = text.encode(errors="backslashreplace")
    if len(encoded) <= TERMINATION_BYTES:
        return encoded.decode()
    cut = encoded[: TERMINATION_BYTES - len(CUT.encode())].decode(errors="ignore")
    return cut + CUT
