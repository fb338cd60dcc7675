"""What was read of a cluster, and what could not be read and why. All later looks are at this, never at the cluster."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from injector.errors import ClusterError
from injector.k8s.objects import Object

Query = Callable[[], Iterable[Object]]
"""Asks the cluster; raises ClusterError where it does not answer or does not allow it."""

Progress = Callable[[str], AbstractContextManager[None]]
"""Lasts as long as something is being read, and may say so."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Objects by the name of what was asked for; one that is not there was refused, and `unread` says why."""

    objects: Mapping[str, tuple[Object, ...]] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)

    def __or__(self, other: "Snapshot") -> "Snapshot":
        """Both together."""
        return Snapshot({**self.objects, **other.objects}, {**self.unread, **other.unread})

    def all(self, name: str) -> tuple[Object, ...]:
        """What was found under a name; nothing where it was not read."""
        return self.objects.get(name, ())

    def one(self, name: str) -> Object | None:
        """The only object under a name; None where there is none or it was not read."""
        return next(iter(self.all(name)), None)


def take_snapshot(reads: Mapping[str, Query], progress_message: Progress = lambda _: nullcontext()) -> Snapshot:
    """Run every query; a failed one is recorded in `unread` and the rest go on. `progress_message` shows each name."""
    objects: dict[str, tuple[Object, ...]] = {}
    unread: dict[str, str] = {}
    for name, read in reads.items():
        try:
            with progress_message(f"reading {name}"):
                objects[name] = tuple(read())
        except ClusterError as error:
            unread[name] = str(error)
    return Snapshot(objects, unread)
