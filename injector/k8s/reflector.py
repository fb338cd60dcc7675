"""Keeps a copy of one kind's objects up to date, as client-go's Reflector does: it lists, watches, and retries."""

import logging
import time
from collections.abc import Callable
from enum import StrEnum
from threading import Event

from injector.deadlines import STOP_POLL_SECONDS
from injector.errors import ClusterError, GoneError, UnavailableError, UnreachableError
from injector.k8s.api_errors import translate_object_errors
from injector.k8s.list_limits import check_room
from injector.k8s.list_watch import ListWatch
from injector.k8s.objects import Metadata
from injector.k8s.watch_timeouts import WatchTimeouts
from injector.log import report_thread
from server.background import BackgroundThread
from server.clocks import read_boottime

LOG = logging.getLogger("podrole.cluster")

MIN_WATCH_SECONDS = 1
"""After a shorter watch there is a pause, even without an error."""


class RestartReason(StrEnum):
    """Why a watch is restarted. After ENDED and UNREACHABLE it resumes, after the others with a new list."""

    ENDED = "ended"
    EXPIRED = "expired"
    UNREACHABLE = "unreachable"
    FAILED = "failed"


RESUMING = {RestartReason.ENDED, RestartReason.UNREACHABLE}
"""The next watch starts where the last one ended, without a list."""


class Reflector:
    """A copy that one daemon thread updates and that any thread can read."""

    def __init__(
        self,
        list_watch: ListWatch,
        on_restart: Callable[[str, str], None],
        timeouts: WatchTimeouts,
        clock: Callable[[], float] = read_boottime,
    ) -> None:
        self.kind = list_watch.kind
        self._list_watch = list_watch
        self._on_restart = on_restart
        self._timeouts = timeouts
        self._full_watch_seconds = timeouts.watch_seconds - MIN_WATCH_SECONDS
        self._clock = clock
        self._objects: dict[str, Metadata | None] = {}
        """None: the object exists, and is read live."""

        self._resource_version: str | None = None
        self._last_event: float | None = None
        self._last_event_timestamp: float | None = None
        self._watch_opened: float | None = None
        self._relist_due = float("-inf")
        self._synced, self._stopping = Event(), Event()
        self.thread = BackgroundThread(
            f"watch-{self.kind}",
            self._run,
            report_thread,
            after_error=lambda: self._stopping.wait(timeouts.max_backoff_seconds),
        )

    def start(self) -> None:
        """Start the thread, in the process that reads: a thread does not survive a fork."""
        self.thread.start()

    def stop(self) -> None:
        """Stop the thread, and wait until it has ended."""
        self._stopping.set()
        while self.thread.is_alive():
            self._list_watch.interrupt()
            self.thread.join(timeout=STOP_POLL_SECONDS)

    def find(self, key: str) -> Metadata | None:
        """The copy of an object. None does not mean that the object is absent: the copy can be behind."""
        return self._objects.get(key)

    def knows(self, key: str) -> bool:
        """Whether the copy has the object, or knows that it exists and is read live."""
        return key in self._objects

    @property
    def is_synced(self) -> bool:
        """Whether the first list is complete."""
        return self._synced.is_set()

    def wait_until_synced(self, timeout_seconds: float) -> bool:
        """Wait for the first complete list; return whether it came in time."""
        return self._synced.wait(timeout_seconds)

    def seconds_since_last_event(self) -> float | None:
        """The copy's age: since the last event, or the start of the last complete list; None before the first one."""
        return None if self._last_event is None else self._clock() - self._last_event

    @property
    def last_event_timestamp(self) -> float | None:
        """The same moment, in seconds since the epoch."""
        return self._last_event_timestamp

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                failures = self._run_once(failures)
            except BaseException:
                # The thread starts again. Without it the copy would become stale, and reads would still use it.
                self._resource_version = None
                raise

    def _run_once(self, failures: int) -> int:
        """List and watch until something ends the watch, then wait; return the failures in a row."""
        self._watch_opened = None
        reason, problem = self._list_and_watch()
        if self._stopping.is_set():
            return 0
        was_long = self._watch_opened is not None and self._clock() - self._watch_opened >= MIN_WATCH_SECONDS
        # A watch that opened costs little, however short it was. A list costs much: its pauses grow.
        is_success = was_long or (self._watch_opened is not None and reason in RESUMING)
        failures = 0 if is_success else failures + 1
        if is_success:
            self.thread.passed()
        self._on_restart(self.kind, reason)
        if reason != RestartReason.ENDED or not was_long:
            pause = self._timeouts.next_backoff(failures)
            LOG.warning("%s; the cached objects stay in use, next try in %.1f s", problem, pause)
            self._stopping.wait(pause)
        return failures

    def _list_and_watch(self) -> tuple[RestartReason, object]:
        """List if that is needed, then watch; return why that ended, and the error."""
        try:
            self._watch(self._find_resource_version() or self._list())
        except (UnreachableError, UnavailableError) as error:
            return RestartReason.UNREACHABLE, error
        except ClusterError as error:
            self._resource_version = None
            return (RestartReason.EXPIRED if isinstance(error, GoneError) else RestartReason.FAILED), error
        return RestartReason.ENDED, f"the API server ended the watch of the {self.kind}s at once"

    def _find_resource_version(self) -> str | None:
        """Where the next watch resumes; None if a list is needed: there was none, or the copy has become too old.

        A list that fails does not keep the next watch from resuming.
        """
        age = self.seconds_since_last_event()
        now = self._clock()
        if age is None or age < self._timeouts.relist_seconds or now < self._relist_due:
            return self._resource_version
        self._relist_due = now + self._timeouts.relist_seconds
        return None

    def _list(self) -> str:
        asked_at, asked_timestamp = self._clock(), time.time()
        listing = self._list_watch.list()
        # Both in one assignment: a reader never sees an empty or incomplete copy.
        self._objects, self._resource_version = listing.objects, listing.resource_version
        # The first page is the oldest part. Nor may a list that never completes make the old copy look fresh.
        self._last_event, self._last_event_timestamp = asked_at, asked_timestamp
        LOG.info("cached %d %ss at resource version %s", len(listing.objects), self.kind, listing.resource_version)
        self._synced.set()
        self.thread.passed()
        return listing.resource_version

    def _watch(self, resource_version: str) -> None:
        for event in self._list_watch.watch(resource_version, self._record_open):
            self._record_event()
            if event.key is not None and event.is_deleted:
                self._objects.pop(event.key, None)
            elif event.key is not None:
                with translate_object_errors(f"watch {self.kind}s"):
                    check_room(self._objects, event.key, f"{self.kind}s")
                self._objects[event.key] = event.metadata
            self._resource_version = event.resource_version
        if self._watch_opened is not None and self._clock() - self._watch_opened >= self._full_watch_seconds:
            self._record_event()  # nothing has changed meanwhile: without a watch cache there are no bookmarks

    def _record_open(self) -> None:
        """A watch that opens says nothing about changes: it can be cut before it sends them."""
        self._watch_opened = self._clock()

    def _record_event(self) -> None:
        self._last_event, self._last_event_timestamp = self._clock(), time.time()
