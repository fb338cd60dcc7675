"""The sidecar's log: one JSON object per line on standard error. Callers must not pass secrets."""

import json
import sys
import time

from contract.termination import truncate_termination_message
from contract.text import escape
from server.log_stream import install
from sidecar.errors import SidecarError
from sidecar.time_format import format_time

MAX_FIELD_LENGTH = 2048
"""Characters of a field of an event. The longest is a traceback, of which the server passes on 2000."""

MAX_QUEUED_BYTES = 64 * 1024
"""Of lines that nobody reads. Further ones are dropped and counted."""


def set_up_log() -> None:
    """From now on a log that nobody reads blocks nothing."""
    install(MAX_QUEUED_BYTES, lambda count: _format("log-lines-dropped", count=count))


def emit(event: str, **fields: str | int | bool | None) -> None:
    """Write one line with one call, so that lines of different threads or processes do not mix."""
    sys.stderr.write(_format(event, **fields))
    sys.stderr.flush()


def _format(event: str, **fields: str | int | bool | None) -> str:
    line = {"time": format_time(time.time()), "event": event} | {name: _escape(value) for name, value in fields.items()}
    return json.dumps(line) + "\n"


def _escape(value: str | int | bool | None) -> str | int | bool | None:  # noqa: FBT001 - a field's value
    return escape(value[:MAX_FIELD_LENGTH])[:MAX_FIELD_LENGTH] if isinstance(value, str) else value


def log_fatal(error: SidecarError) -> None:
    """Write why the sidecar exits, as plain text: `kubectl describe pod` shows it as the container's last message."""
    sys.stderr.write(truncate_termination_message(f"podrole-sidecar: {error}\n"))
    sys.stderr.flush()
