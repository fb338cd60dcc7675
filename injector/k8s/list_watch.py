"""Lists and watches all objects of one kind, metadata only."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from urllib3 import Timeout

from injector.deadlines import (
    LIST_READ_SECONDS,
    MAX_BACKOFF_SECONDS,
    MAX_STALENESS_SECONDS,
    MIN_BACKOFF_SECONDS,
    WATCH_CONNECT_SECONDS,
    WATCH_READ_SECONDS,
    WATCH_SECONDS,
)
from injector.errors import ObjectError
from injector.k8s.api_errors import translate_network_errors, translate_object_errors
from injector.k8s.cached_metadata import ReadObject, fits_cache
from injector.k8s.client import ApiClient
from injector.k8s.metadata_stream import WatchEvent, read_list
from injector.k8s.objects import Metadata
from injector.k8s.paging import PAGE_SIZE
from injector.k8s.protobuf import ByteSource
from injector.k8s.request import METADATA, METADATA_LIST, Request

if TYPE_CHECKING:
    from injector.k8s.watch_stream import WatchStream

PATHS = {"Namespace": "/api/v1/namespaces", "ServiceAccount": "/api/v1/serviceaccounts"}
"""Kind: the path of its collection, in all namespaces."""

PAGE_BYTES = 8 * 1024 * 1024
"""What a page should have at most. A larger one needs no more memory here, but much in the API server, and so time: the
token of the next page is valid for five minutes."""

SMALLER_PAGE = 4
"""A page that fails is asked again with a limit that is so many times smaller: it can have been too large."""

MAX_SHOWN = 100


class Page(NamedTuple):
    """A page of the list, reduced to what the cache keeps."""

    objects: dict[str, Metadata | None]
    """None: the object takes too much memory, and is read live."""

    resource_version: str
    continue_token: str
    """For the next page; empty on the last one."""


class Event(NamedTuple):
    """A change of one object."""

    key: str | None
    """None: no object changed, only the resource version (a bookmark)."""

    metadata: Metadata | None
    """None: the object was deleted, or is read live."""

    resource_version: str
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class WatchTimeouts:
    """Timeouts of lists and watches, and the pauses between them; described in `injector.deadlines`."""

    watch_seconds: int = WATCH_SECONDS
    read_timeout_seconds: float = WATCH_READ_SECONDS
    list_timeout_seconds: float = LIST_READ_SECONDS
    connect_timeout_seconds: float = WATCH_CONNECT_SECONDS
    min_backoff_seconds: float = MIN_BACKOFF_SECONDS
    max_backoff_seconds: float = MAX_BACKOFF_SECONDS
    max_staleness_seconds: float = MAX_STALENESS_SECONDS

    def next_backoff(self, failures: int) -> float:
        """Seconds before the next try: doubled with each failure in a row, with up to half of it as random jitter.

        Jitter spreads out the replicas that lost the API server at the same time.
        """
        longest = min(self.min_backoff_seconds * 2.0 ** min(failures, 16), self.max_backoff_seconds)
        return longest * random.uniform(0.5, 1)  # noqa: S311 - nothing secret


class ListWatch:
    """Namespaces or ServiceAccounts of the whole cluster.

    Every method raises ClusterError: GoneError where the resource version is too old, UnreachableError or
    UnavailableError where the same request can be sent again, any other where only a new list helps.
    """

    def __init__(self, kind: str, client: ApiClient, timeouts: WatchTimeouts) -> None:
        self.kind = kind
        self._client = client
        self._timeouts = timeouts
        self._description = f"{kind}s"
        self._limit = PAGE_SIZE
        self._stream: WatchStream | None = None

    def list_page(self, continue_token: str = "") -> Page:
        """The first page, or the page that the token of the page before names."""
        request = Request(
            "list",
            PATHS[self.kind],
            self._description,
            query={"limit": str(self._limit), **({"continue": continue_token} if continue_token else {})},
            accept=METADATA_LIST,
            timeout=self._build_timeout(self._timeouts.list_timeout_seconds),
        )
        objects: dict[str, Metadata | None] = {}

        def add(found: ReadObject) -> None:
            objects[_check_key(self.kind, found)] = _choose_cached(self.kind, found)

        self._limit = max(1, self._limit // SMALLER_PAGE)  # in case that this one fails
        with self._client.stream(request) as chunks:
            source = ByteSource(chunks)
            with translate_network_errors(request.action), translate_object_errors(request.action):
                metadata = read_list(self.kind, source, add)
        self._limit = choose_limit(metadata.objects, source.position)
        return Page(objects, metadata.resource_version, metadata.continue_token)

    def watch(self, resource_version: str, on_open: Callable[[], None]) -> Iterator[Event]:
        """The changes after a resource version, until the API server ends the watch."""
        query = {
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(self._timeouts.watch_seconds),
        }
        timeout = self._build_timeout(self._timeouts.read_timeout_seconds)
        with self._client.watch(
            PATHS[self.kind], description=self._description, query=query, accept=METADATA, timeout=timeout
        ) as stream:
            on_open()
            self._stream = stream
            for event in stream.read_events(self.kind):
                with translate_object_errors(f"watch {self._description}"):
                    parsed = _parse_event(self.kind, event)
                yield parsed

    def interrupt(self) -> None:
        """End the watch from another thread."""
        if self._stream is not None:
            self._stream.stop()

    def _build_timeout(self, read_seconds: float) -> Timeout:
        return Timeout(connect=self._timeouts.connect_timeout_seconds, read=read_seconds)


def choose_limit(count: int, page_bytes: int) -> int:
    """The limit of the next page, so that it has about PAGE_BYTES if its objects are as large as those of this one."""
    return max(1, min(PAGE_SIZE, count * PAGE_BYTES // page_bytes)) if count else PAGE_SIZE


def _parse_event(kind: str, event: WatchEvent) -> Event:
    found = event.object
    if not found.resource_version:
        raise ObjectError("an event has no resourceVersion")
    match event.type:
        case "BOOKMARK":
            return Event(None, None, found.resource_version)
        case "DELETED":
            return Event(_check_key(kind, found), None, found.resource_version, is_deleted=True)
        case "ADDED" | "MODIFIED":
            return Event(_check_key(kind, found), _choose_cached(kind, found), found.resource_version)
        case unknown:
            raise ObjectError(f"an event has the unknown type {unknown[:MAX_SHOWN]}")


def _choose_cached(kind: str, found: ReadObject) -> Metadata | None:
    return found.metadata if found.metadata is not None and fits_cache(kind, found.metadata) else None


def _check_key(kind: str, found: ReadObject) -> str:
    if not found.key:
        raise ObjectError("an object has no name")
    if ("/" in found.key) != (kind == "ServiceAccount"):
        raise ObjectError(f"{found.key[:MAX_SHOWN]} is not a {kind}")
    return found.key
