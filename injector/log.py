"""The log of both processes, on standard error: one JSON object for each line, or text on a terminal.

Fields and messages contain what others wrote: they are quoted here.
"""

import json
import logging
import sys
import textwrap
from types import TracebackType
from typing import Any, TextIO

from contract.text import escape, quote
from server.log_stream import install

LOG = logging.getLogger("podrole")

ENCODER = json.JSONEncoder(separators=(",", ":"), default=str)

MAX_FIELD_LENGTH = 2048
"""Characters of a message, or of one field."""

MAX_TRACEBACK_LENGTH = 16 * 1024
"""Characters of its end, which has the error and the innermost frames."""

MAX_QUEUED_BYTES = 1024 * 1024
"""Of lines that nobody reads: some seconds of reviews. Further ones are dropped and counted."""

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class JsonFormatter(logging.Formatter):
    """One JSON object for each line, for log collectors."""

    def format(self, record: logging.LogRecord) -> str:
        """Format the record's `fields`, or its message if it has none."""
        line = {"time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"), "level": record.levelname, "logger": record.name}
        fields = getattr(record, "fields", None) or {"message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return ENCODER.encode(line | {name: _quote_field(value) for name, value in fields.items()})

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802 - the method of the standard library
        """Format the end of a traceback."""
        return escape(super().formatException(ei)[-MAX_TRACEBACK_LENGTH:])[-MAX_TRACEBACK_LENGTH:]


class TextFormatter(JsonFormatter):
    """Text for a terminal. A traceback is indented, so that none of its lines looks like one of the log's."""

    def format(self, record: logging.LogRecord) -> str:
        """Format the message, and the traceback below it."""
        line = f"{self.formatTime(record)} {record.levelname} {quote(record.getMessage(), MAX_FIELD_LENGTH)}"
        if not record.exc_info:
            return line
        return f"{line}\n{textwrap.indent(self.formatException(record.exc_info), '    ')}"


def _quote_field(value: Any) -> Any:
    return quote(value, MAX_FIELD_LENGTH) if isinstance(value, str) else value


def set_up_standard_error() -> None:
    """Log to standard error. If nobody reads it, that blocks nothing."""
    install(MAX_QUEUED_BYTES, _describe_dropped)
    set_up_logging(sys.stderr)


def set_up_logging(stream: TextIO) -> None:
    """Log to a stream: text if it is a terminal, else JSON."""
    output = logging.StreamHandler(stream)
    output.setFormatter(_choose_formatter(stream))
    logging.basicConfig(level=logging.INFO, handlers=[output])
    # It logs a traceback for each answer with a malformed header. What such an answer leads to is logged anyway.
    logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


def report_thread(name: str, count: int, error: BaseException) -> None:
    """Log an error that ended a background thread's work."""
    LOG.error("thread %s failed and starts again (%d since the last line)", name, count, exc_info=error)


def _choose_formatter(stream: TextIO) -> logging.Formatter:
    return TextFormatter() if stream.isatty() else JsonFormatter()


def _describe_dropped(count: int) -> str:
    record = logging.LogRecord("podrole", logging.WARNING, __file__, 0, "%d log lines dropped", (count,), None)
    return f"{_choose_formatter(sys.stderr).format(record)}\n"
