"""Keeps a copy of one kind's objects: lists them, watches them, and begins anew whatever happens. No HTTP here."""

import logging
import time
from collections.abc import Callable
from threading import Event, Thread

from injector.errors import ClusterError
from injector.k8s.list_watch import ExpiredError, ListWatch, UnreachableError, WatchTimeouts
from injector.k8s.objects import Metadata

LOG = logging.getLogger("podrole.cluster")

ENDED, EXPIRED, UNREACHABLE, UNUSABLE, FAILED = "ended", "expired", "unreachable", "unusable", "failed"
"""Why a watch begins anew. After ENDED and UNREACHABLE it goes on where it was, after the others with a new list."""

SHORTEST_WATCH_SECONDS = 1
"""A watch that ends sooner has failed, however politely: to begin the next at once would be a loop without a pause."""


class Reflector:
    """A copy that one daemon thread keeps, and any thread may read."""

    def __init__(
        self,
        collection: ListWatch,
        on_restart: Callable[[str, str], None],
        timeouts: WatchTimeouts,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.kind = collection.kind
        self._collection = collection
        self._on_restart = on_restart
        self._timeouts = timeouts
        self._clock = clock
        self._entries: dict[str, Metadata] = {}
        self._resource_version: str | None = None
        self._last_event: float | None = None
        self._last_event_timestamp: float | None = None
        self._opened: float | None = None
        self._synced, self._stopping = Event(), Event()
        self._thread = Thread(target=self._run, name=f"watch-{self.kind}", daemon=True)

    def start(self) -> None:
        """Begin; in the process that reads, as a thread does not survive a fork."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for its end."""
        self._stopping.set()
        while self._thread.is_alive():
            self._collection.interrupt()
            self._thread.join(timeout=0.1)

    def find(self, key: str) -> Metadata | None:
        """What is known of an object. None does not say that there is no such object: the copy may be behind."""
        return self._entries.get(key)

    @property
    def is_synced(self) -> bool:
        """Whether all objects were listed once."""
        return self._synced.is_set()

    def wait_until_synced(self, timeout_seconds: float) -> bool:
        """Wait for that; tell whether it came."""
        return self._synced.wait(timeout_seconds)

    def seconds_since_last_event(self) -> float | None:
        """Since the API server last gave a sign of life, and so how old the copy may be. None: it never did."""
        return None if self._last_event is None else self._clock() - self._last_event

    @property
    def last_event_timestamp(self) -> float | None:
        """Seconds since the epoch when the API server last sent something; None before it sent anything."""
        return self._last_event_timestamp

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                failures = self._run_once(failures)
            except Exception:
                # Whatever it is: a thread that ended here would leave a copy that nobody keeps and everybody believes.
                LOG.exception("the watch of the %ss failed and begins anew", self.kind)
                self._resource_version = None
                self._stopping.wait(self._timeouts.max_backoff_seconds)

    def _run_once(self, failures: int) -> int:
        """Follow the cluster until something ends it, and wait as long as that demands."""
        self._opened = None
        reason, problem = self._follow()
        if self._stopping.is_set():
            return 0
        was_long = self._opened is not None and self._clock() - self._opened >= SHORTEST_WATCH_SECONDS
        failures = 0 if was_long else failures + 1
        self._on_restart(self.kind, reason)
        if reason != ENDED or not was_long:
            pause = self._timeouts.next_backoff(failures)
            LOG.warning("%s; what is known stays in use, next try in %.1f s", problem, pause)
            self._stopping.wait(pause)
        return failures

    def _follow(self) -> tuple[str, object]:
        """List where there is nothing to go on from, then watch; the reason why that ended, and the problem."""
        try:
            self._watch(self._resource_version or self._list())
        except UnreachableError as error:
            return UNREACHABLE, error
        except ClusterError as error:
            self._resource_version = None
            return (EXPIRED if isinstance(error, ExpiredError) else UNUSABLE), error
        return ENDED, f"the API server ended the watch of the {self.kind}s at once"

    def _list(self) -> str:
        entries: dict[str, Metadata] = {}
        page = None
        while page is None or page.rest is not None:
            page = self._collection.fetch_page(page.rest if page else None)
            entries.update(page.entries)
            self._mark_event()
        # In one step, so that nobody meets a copy that is empty or half of it.
        self._entries, self._resource_version = entries, page.resource_version
        LOG.info("%d %ss known, at resource version %s", len(entries), self.kind, page.resource_version)
        self._synced.set()
        return page.resource_version

    def _watch(self, resource_version: str) -> None:
        for event in self._collection.watch(resource_version, self._open):
            self._mark_event()
            if event.entry is not None and event.key is not None:
                self._entries[event.key] = event.entry
            elif event.key is not None:
                self._entries.pop(event.key, None)
            self._resource_version = event.resource_version

    def _open(self) -> None:
        self._opened = self._clock()
        self._mark_event()

    def _mark_event(self) -> None:
        self._last_event, self._last_event_timestamp = self._clock(), time.time()
