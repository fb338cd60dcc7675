"""The log of both processes, on standard error: one JSON object for each line, or text on a terminal."""

import json
import logging
import sys
from typing import TextIO

ENCODER = json.JSONEncoder(separators=(",", ":"), default=str)


class JsonFormatter(logging.Formatter):
    """One JSON object for each line, for log collectors."""

    def format(self, record: logging.LogRecord) -> str:
        """Format the record's `fields`, or its message if it has none."""
        line = {"time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"), "level": record.levelname, "logger": record.name}
        fields = getattr(record, "fields", None) or {"message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return ENCODER.encode(line | fields)


def set_up_logging(stream: TextIO = sys.stderr) -> None:
    """Log to a stream: text if it is a terminal, else JSON."""
    output = logging.StreamHandler(stream)
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    output.setFormatter(text if stream.isatty() else JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[output])
