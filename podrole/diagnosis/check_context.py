"""What a cluster's checks look at, and one check."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from injector.k8s.objects import Object, read_mapping
from podrole.diagnosis.installed_config import DeployedEnv, EffectiveConfig
from podrole.diagnosis.snapshot import Snapshot
from podrole.findings import Finding

SOME = 5


@dataclass(frozen=True, slots=True)
class CheckContext:
    """A cluster as it was read, at one moment."""

    snapshot: Snapshot
    now: float
    """Seconds since the epoch."""

    settings: DeployedEnv | None = None
    """The live webhook's variables; None where it has no Deployment."""

    effective_config: EffectiveConfig | None = None
    """The webhook's configuration; None where it is not known or cannot be used."""

    problem: str = ""
    """Why it is not."""

    def namespaces(self) -> Sequence[Object]:
        """Those that are looked at: labelled, or asked about."""
        return self.snapshot.all("namespaces")


class Check(NamedTuple):
    """One look at a cluster."""

    title: str
    subject: str
    """What is not known where it cannot be made."""

    requires: tuple[str, ...]
    """What must have been read."""

    find: Callable[[CheckContext], Iterator[Finding]]


def read_name(thing: Object) -> str:
    """The name, with its namespace where it is in one."""
    metadata = read_mapping(thing, "metadata")
    return "/".join(str(metadata[key]) for key in ("namespace", "name") if metadata.get(key))


def name_some(names: Sequence[str]) -> str:
    """A few of the names, and how many more there are."""
    more = len(names) - SOME
    return ", ".join(names[:SOME]) + (f" and {more} more" if more > 0 else "")
