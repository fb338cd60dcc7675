"""One log line for each review. Of the pod it has only names and the role, because its environment can hold secrets."""

import dataclasses
import logging
from dataclasses import dataclass

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

    service_account: str
    outcome: Outcome
    """Inject, Block, Skip or Deny; Fail for a denial because of an error."""

    mode: str | None
    role: str | None
    """The ARN that the pod gets, or that a denied pod asks for; None: it has none, or its value is invalid."""

    reasons: tuple[str, ...]
    """Codes of `injector.reasons`."""

    seconds: float

    def __str__(self) -> str:
        owner = f" of {self.owner}" if self.owner else ""
        role = f", role {self.role}" if self.role else ""
        what = f"{self.outcome} {','.join(self.reasons)}{owner}{role}"
        return f"{self.uid} {self.namespace}/{self.pod}: {what}, {self.seconds * 1000:.1f} ms"


FIELDS = tuple(field.name for field in dataclasses.fields(DecisionLogEntry))


def log(entry: DecisionLogEntry) -> None:
    """Write one line."""
    LOG.info("%s", entry, extra={"fields": {name: getattr(entry, name) for name in FIELDS}})
