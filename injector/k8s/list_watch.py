"""All objects of one kind in the API server, metadata only: their list in pages, and the watch of it. Keeps nothing."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from kubernetes import config
from urllib3 import Timeout
from urllib3.exceptions import HTTPError

from injector.errors import ClusterError, ObjectError
from injector.k8s.cached_metadata import parse_entry, parse_key
from injector.k8s.client import METADATA, METADATA_LIST, PATHS, Request, StatusError, Transport
from injector.k8s.objects import Metadata

PAGE_OBJECTS = 500
"""A page of them is a megabyte of JSON on the wire, and some ten while it is parsed."""

GONE = 410
NOT_NOW = {429, *range(500, 600)}


class ExpiredError(ClusterError):
    """The resource version is older than what the API server still knows: only a new list helps."""


class UnreachableError(ClusterError):
    """No answer, a broken one or "not now": what was known before holds, and the watch can go on from there."""


class Page(NamedTuple):
    """A part of the list, made small at once."""

    entries: dict[str, Metadata]
    resource_version: str
    rest: str | None
    """The token for the next page; None on the last one."""


class Event(NamedTuple):
    """Something that happened to an object."""

    key: str | None
    """None: to no object, the resource version has moved on."""

    entry: Metadata | None
    """None: it is gone, or too large to be kept."""

    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchTimeouts:
    """How long to wait for what."""

    watch_seconds: int = 60
    """After which the API server ends a watch, so that its beginning anew proves that both sides are still there: a
    peer that vanished sends nothing, and neither does a cluster in which nothing happens."""

    read_timeout_seconds: float = 70
    """After which a watch counts as dead: above `watch_seconds`, where the server should have ended it."""

    list_timeout_seconds: float = 30
    connect_timeout_seconds: float = 5
    min_backoff_seconds: float = 1
    max_backoff_seconds: float = 30
    max_staleness_seconds: float = 300
    """How long the copy is answered from after the API server last gave a sign of life."""

    def next_backoff(self, failures: int) -> float:
        """Seconds before the next try: doubled with each failure in a row, up to half of it left to chance.

        Chance parts replicas that lost the API server together.
        """
        longest = min(self.min_backoff_seconds * 2.0 ** min(failures, 16), self.max_backoff_seconds)
        return longest * random.uniform(0.5, 1)  # noqa: S311 - nothing secret


class ListWatch:
    """Namespaces or ServiceAccounts of the whole cluster.

    The client's own Watch is not used: it decodes each event into a model, and told not to it fails at an ERROR event
    with a KeyError; it skips lines that are no JSON, and it cannot be stopped while it waits.
    """

    def __init__(self, kind: str, transport: Transport, timeouts: WatchTimeouts) -> None:
        self.kind = kind
        self._transport = transport
        self._timeouts = timeouts
        self._watching: Any = None

    def fetch_page(self, rest: str | None) -> Page:
        """The first page, or the one that a page before named. Raises what `watch` raises."""
        query = {"limit": str(PAGE_OBJECTS), **({"continue": rest} if rest else {})}
        timeout = Timeout(connect=self._timeouts.connect_timeout_seconds, read=self._timeouts.list_timeout_seconds)
        with self._translated():
            page = self._transport.fetch(Request(PATHS[self.kind], METADATA_LIST, timeout, query))
            entries = {parse_key(thing): parse_entry(thing) for thing in page["items"]}
            return Page(
                entries={key: entry for key, entry in entries.items() if entry is not None},
                resource_version=page["metadata"]["resourceVersion"],
                rest=page["metadata"].get("continue") or None,
            )

    def watch(self, resource_version: str, opened: Callable[[], None]) -> Iterator[Event]:
        """What happens after a resource version, until the server ends the watch.

        Raises ExpiredError, UnreachableError, or ClusterError for what only a new list can clear up.
        """
        with self._translated(), closing(self._open(resource_version)) as response:
            opened()
            self._watching = response
            rest = b""
            for chunk in response.stream(amt=None, decode_content=False):
                # A line without its end is of a watch that was cut: its event comes again.
                *lines, rest = (rest + chunk).split(b"\n")
                yield from map(_parse_event, filter(None, lines))

    def interrupt(self) -> None:
        """End the watch from another thread; closing its file would not wake the one that reads."""
        if self._watching is not None:
            with suppress(HTTPError, OSError, RuntimeError, ValueError):  # it has ended by itself
                self._watching.shutdown()

    def _open(self, resource_version: str) -> Any:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(self._timeouts.watch_seconds),
        }
        timeout = Timeout(connect=self._timeouts.connect_timeout_seconds, read=self._timeouts.read_timeout_seconds)
        return self._transport.open(Request(PATHS[self.kind], METADATA, timeout, query))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        what = f"the API server did not give the {self.kind}s"
        try:
            yield
        except StatusError as error:
            raise _choose(error.status)(f"{what}: {error}") from error
        except (HTTPError, OSError, config.ConfigException) as error:  # the latter two: the token's file
            raise UnreachableError(f"{what}: {error}") from error
        except (ValueError, LookupError, TypeError, AttributeError, ObjectError) as error:
            raise ClusterError(f"{what}, but something that cannot be read: {error!r}") from error


def _parse_event(line: bytes) -> Event:
    """https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes."""
    event = json.loads(line)
    thing = event["object"]
    match event["type"]:
        case "ERROR":
            raise _choose(thing.get("code"))(f"the watch ended with {thing.get('code')} {thing.get('message')}")
        case "BOOKMARK":
            key, entry = None, None
        case "DELETED":
            key, entry = parse_key(thing), None
        case "ADDED" | "MODIFIED":
            key, entry = parse_key(thing), parse_entry(thing)
        case unknown:
            raise ValueError(f"an event of type {unknown}")
    return Event(key, entry, thing["metadata"]["resourceVersion"])


def _choose(status: Any) -> type[ClusterError]:
    if status == GONE:
        return ExpiredError
    return UnreachableError if status in NOT_NOW else ClusterError
