"""What is told of each answer: one line of the log. Nothing of a pod is in it but names: its environment is secret."""

import json
import logging
import sys
from dataclasses import dataclass, fields
from typing import TextIO

LOG = logging.getLogger("podrole.admission")


@dataclass(frozen=True, slots=True)
class DecisionLogEntry:
    """One review, answered."""

    uid: str
    namespace: str
    pod: str
    owner: str | None
    """The controller, as `ReplicaSet/web-5d9c7`: who a person looks for when the pod's name is not made yet."""

    outcome: str
    """The name of the decision: Inject, Block, Skip, Deny; Fail for a denial that no rule asked for."""

    mode: str | None
    reasons: tuple[str, ...]
    """Codes of `injector.reasons`."""

    seconds: float

    def __str__(self) -> str:
        owner = f" of {self.owner}" if self.owner else ""
        reasons = ",".join(self.reasons)
        return f"{self.uid} {self.namespace}/{self.pod}: {self.outcome} {reasons}{owner}, {self.seconds * 1000:.1f} ms"


FIELDS = tuple(field.name for field in fields(DecisionLogEntry))


def log(record: DecisionLogEntry) -> None:
    """Write the line."""
    LOG.info("%s", record, extra={"fields": {name: getattr(record, name) for name in FIELDS}})


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for whatever collects a cluster's logs."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record with the fields that it came with, or with its message where it came with none."""
        line = {"time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"), "level": record.levelname, "logger": record.name}
        told = getattr(record, "fields", None) or {"message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line | told, separators=(",", ":"), default=str)


def set_up_logging(stream: TextIO = sys.stderr) -> None:
    """Log to a stream: as text for a person at a terminal, as JSON for everything else."""
    output = logging.StreamHandler(stream)
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    output.setFormatter(text if stream.isatty() else JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[output])
