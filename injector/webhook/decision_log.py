"""One log line for each review. It contains only names from the pod, because its environment can hold secrets."""

import dataclasses
import json
import logging
import sys
from dataclasses import dataclass
from typing import TextIO

from injector.decision.outcomes import Outcome

LOG = logging.getLogger("podrole.admission")


@dataclass(frozen=True, slots=True)
class DecisionLogEntry:
    """One answered review."""

    uid: str
    namespace: str
    pod: str
    owner: str | None
    """The controller, as `ReplicaSet/web-5d9c7`: identifies a pod whose name is not generated yet."""

    outcome: Outcome
    """Inject, Block, Skip or Deny; Fail for a denial because of an error."""

    mode: str | None
    reasons: tuple[str, ...]
    """Codes of `injector.reasons`."""

    seconds: float

    def __str__(self) -> str:
        owner = f" of {self.owner}" if self.owner else ""
        reasons = ",".join(self.reasons)
        return f"{self.uid} {self.namespace}/{self.pod}: {self.outcome} {reasons}{owner}, {self.seconds * 1000:.1f} ms"


FIELDS = tuple(field.name for field in dataclasses.fields(DecisionLogEntry))


def log(entry: DecisionLogEntry) -> None:
    """Write one line."""
    LOG.info("%s", entry, extra={"fields": {name: getattr(entry, name) for name in FIELDS}})


class JsonFormatter(logging.Formatter):
    """One JSON object for each line, for log collectors."""

    def format(self, record: logging.LogRecord) -> str:
        """Format the record's `fields`, or its message if it has none."""
        line = {"time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"), "level": record.levelname, "logger": record.name}
        fields = getattr(record, "fields", None) or {"message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line | fields, separators=(",", ":"), default=str)


def set_up_logging(stream: TextIO = sys.stderr) -> None:
    """Log to a stream: text if it is a terminal, else JSON."""
    output = logging.StreamHandler(stream)
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    output.setFormatter(text if stream.isatty() else JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[output])
