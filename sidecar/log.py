"""The sidecar's log: one JSON object per line on standard error. Callers must not pass secrets."""

import json
import sys
import time

from sidecar.errors import SidecarError
from sidecar.time_format import format_time

TERMINATION_BYTES = 2048
"""The kubelet takes this much, and at most 80 lines, from the end of a failed container's log."""

TRUNCATED = " (truncated)\n"


def emit(event: str, **fields: str | int | bool | None) -> None:
    """Write one line with one call, so that lines of different threads or processes do not mix."""
    sys.stderr.write(json.dumps({"time": format_time(time.time()), "event": event, **fields}) + "\n")
    sys.stderr.flush()


def log_fatal(error: SidecarError) -> None:
    """Write why the sidecar exits, as plain text: `kubectl describe pod` shows it as the container's last message."""
    sys.stderr.write(truncate_termination_message(f"podrole-sidecar: {error}\n"))
    sys.stderr.flush()


def truncate_termination_message(text: str) -> str:
    """Truncate a text at its end. The kubelet would keep the end of a longer text and drop its beginning.

    https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
    """
    encoded = text.encode(errors="backslashreplace")
    if len(encoded) <= TERMINATION_BYTES:
        return encoded.decode()
    beginning = encoded[: TERMINATION_BYTES - len(TRUNCATED.encode())].decode(errors="ignore")
    return beginning + TRUNCATED
