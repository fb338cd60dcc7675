"""Lists and watches all objects of one kind, metadata only."""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from urllib3 import Timeout

from injector.errors import ClusterError, GoneError, ObjectError
from injector.k8s.api_errors import MAX_SHOWN, translate_network_errors, translate_object_errors
from injector.k8s.cached_metadata import ReadObject, fits_cache
from injector.k8s.client import ApiClient
from injector.k8s.list_limits import PageLimit, check_room
from injector.k8s.metadata_stream import ListMetadata, WatchEvent, read_list
from injector.k8s.objects import Metadata
from injector.k8s.paging import ListProgress
from injector.k8s.protobuf import ByteSource
from injector.k8s.request import METADATA, METADATA_LIST, Request
from injector.k8s.watch_timeouts import WatchTimeouts

if TYPE_CHECKING:
    from injector.k8s.watch_stream import WatchStream

LOG = logging.getLogger("podrole.cluster")

PATHS = {"Namespace": "/api/v1/namespaces", "ServiceAccount": "/api/v1/serviceaccounts"}
"""Kind: the path of its collection, in all namespaces."""


class Listing(NamedTuple):
    """All objects, reduced to what the cache keeps."""

    objects: dict[str, Metadata | None]
    """None: the object takes too much memory, and is read live."""

    resource_version: str


class Event(NamedTuple):
    """A change of one object."""

    key: str | None
    """None: no object changed, only the resource version (a bookmark)."""

    metadata: Metadata | None
    """None: the object was deleted, or is read live."""

    resource_version: str
    is_deleted: bool = False


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
        self._limit = PageLimit()
        self._stream: WatchStream | None = None

    def list(self) -> Listing:
        """All objects. If a continue token has expired, they come in one page: the next token would expire as well."""
        progress = ListProgress(f"list {self._description}", self._timeouts.all_pages_seconds)
        objects: dict[str, Metadata | None] = {}
        page = self._list_page(objects, progress)
        while token := page.continue_token:
            try:
                page = self._list_page(objects, progress, token)
            except GoneError as error:
                LOG.warning("%s; all of them are listed in one page", error)
                objects.clear()
                page = self._read_page(objects, {}, min(progress.left_seconds(), self._timeouts.full_list_seconds))
            progress.check_next_page(token, page.continue_token)
        self._limit.list_completed()
        return Listing(objects, page.resource_version)

    def _list_page(
        self, objects: dict[str, Metadata | None], progress: ListProgress, continue_token: str = ""
    ) -> ListMetadata:
        """Add the objects of the first page, or of the page that the token of the page before names."""
        query = {"limit": str(self._limit.value), **({"continue": continue_token} if continue_token else {})}
        seconds = min(progress.left_seconds(), self._timeouts.list_timeout_seconds)
        try:
            return self._read_page(objects, query, seconds)
        except ClusterError as error:
            self._limit.page_failed(error)
            raise

    def _read_page(
        self, objects: dict[str, Metadata | None], query: Mapping[str, str], timeout_seconds: float
    ) -> ListMetadata:
        request = Request(
            "list",
            PATHS[self.kind],
            self._description,
            query=query,
            accept=METADATA_LIST,
            timeout=self._build_timeout(timeout_seconds),
        )

        def add(found: ReadObject) -> None:
            key = _check_key(self.kind, found)
            check_room(objects, key, self._description)
            objects[key] = _choose_cached(self.kind, found)

        with self._client.stream(request) as chunks:
            source = ByteSource(chunks)
            with translate_network_errors(request.action), translate_object_errors(request.action):
                metadata = read_list(self.kind, source, add)
        self._limit.page_read(metadata.objects, source.position)
        return metadata

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
