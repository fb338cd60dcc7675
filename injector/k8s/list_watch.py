"""Lists and watches all objects of one kind, metadata only."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from urllib3 import Timeout

from injector.errors import ObjectError
from injector.k8s.api_errors import translate_object_errors
from injector.k8s.cached_metadata import build_key, parse_cached_metadata
from injector.k8s.client import ApiClient
from injector.k8s.objects import Metadata, read_mapping, read_string
from injector.k8s.request import METADATA, METADATA_LIST
from injector.k8s.watch_stream import WatchEvent, WatchStream

PATHS = {"Namespace": "/api/v1/namespaces", "ServiceAccount": "/api/v1/serviceaccounts"}
"""Kind: the path of its collection, in all namespaces."""


class Page(NamedTuple):
    """A page of the list, reduced to what the cache keeps."""

    objects: dict[str, Metadata]
    resource_version: str
    continue_token: str
    """For the next page; empty on the last one."""


class Event(NamedTuple):
    """A change of one object."""

    key: str | None
    """None: no object changed, only the resource version (a bookmark)."""

    metadata: Metadata | None
    """None: the object was deleted, or is too large to be cached."""

    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchTimeouts:
    """Timeouts of lists and watches, and the pauses between them."""

    watch_seconds: int = 60
    """The API server ends a watch after this time. The next one proves that the connection still works: a quiet cluster
    and a lost connection look the same."""

    read_timeout_seconds: float = 70
    """A watch that received nothing for this time is dead: longer than `watch_seconds`, when the server ends it."""

    list_timeout_seconds: float = 30
    connect_timeout_seconds: float = 5
    min_backoff_seconds: float = 1
    max_backoff_seconds: float = 30
    max_staleness_seconds: float = 300
    """How long the cache answers after the API server last sent something."""

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
        self._stream: WatchStream | None = None

    def list_page(self, continue_token: str = "") -> Page:
        """The first page, or the page that the token of the page before names."""
        page = self._client.list_page(
            PATHS[self.kind],
            continue_token,
            description=self._description,
            accept=METADATA_LIST,
            timeout=self._build_timeout(self._timeouts.list_timeout_seconds),
        )
        with translate_object_errors(f"list {self._description}"):
            objects = {build_key(item): parse_cached_metadata(item) for item in page.items}
            return Page(
                objects={key: metadata for key, metadata in objects.items() if metadata is not None},
                resource_version=read_string(page.metadata, "resourceVersion"),
                continue_token=page.continue_token,
            )

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
            for event in stream:
                with translate_object_errors(f"watch {self._description}"):
                    parsed = _parse_event(event)
                yield parsed

    def interrupt(self) -> None:
        """End the watch from another thread."""
        if self._stream is not None:
            self._stream.stop()

    def _build_timeout(self, read_seconds: float) -> Timeout:
        return Timeout(connect=self._timeouts.connect_timeout_seconds, read=read_seconds)


def _parse_event(event: WatchEvent) -> Event:
    match event.type:
        case "BOOKMARK":
            key, metadata = None, None
        case "DELETED":
            key, metadata = build_key(event.object), None
        case "ADDED" | "MODIFIED":
            key, metadata = build_key(event.object), parse_cached_metadata(event.object)
        case unknown:
            raise ObjectError(f"an event has the unknown type {unknown}")
    return Event(key, metadata, read_string(read_mapping(event.object, "metadata"), "resourceVersion"))
