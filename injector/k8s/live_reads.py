"""Bounds the reviews that wait for reads of the API server, and shares reads between them."""

import time
from collections import Counter
from collections.abc import Callable
from threading import Event, Lock

from injector.deadlines import LIVE_READ_SECONDS, REVIEW_READS_SECONDS
from injector.errors import TooManyReadsError, UnreachableError
from injector.k8s.objects import Metadata

MAX_UNKNOWN = 4
"""Reviews of namespaces that the cache does not know: half of the threads, and none waits for one.

Anybody who reaches the port can send such reviews. A namespace is unknown only until the watch has its creation.
"""

MAX_KNOWN = 64
MAX_PER_NAMESPACE = 32
"""Reviews of one namespace, so that it cannot have all the threads."""

MAX_WORKLOADS = 2
"""Reviews of workloads, each of another namespace: they only miss a warning, so pods keep the other threads."""

MAX_SHARED = 64
"""Reads that are remembered to be shared."""


class Gate:
    """Counts the reviews that wait. Thread-safe."""

    def __init__(self, on_refused: Callable[[str], None]) -> None:
        """`on_refused` gets the limit: `unknown`, `known` or `namespace`."""
        self._on_refused = on_refused
        self._lock = Lock()
        self._unknown = 0
        self._known: Counter[str] = Counter()
        """By namespace."""

    def enter(self, namespace: str, *, is_known: bool) -> Callable[[], None]:
        """Count one more review; return what ends its wait, to be called once. Raises TooManyReadsError."""
        with self._lock:
            full = self._find_full(namespace) if is_known else self._find_full_of_unknown()
            if not full:
                return self._count(namespace, is_known=is_known)
        limit, waiting = full
        self._on_refused(limit)
        raise TooManyReadsError(f"{waiting} wait for podrole to read the API server: try again in a second")

    def _find_full_of_unknown(self) -> tuple[str, str] | None:
        is_full = self._unknown >= MAX_UNKNOWN
        return ("unknown", f"{MAX_UNKNOWN} pods of namespaces that podrole does not know yet") if is_full else None

    def _find_full(self, namespace: str) -> tuple[str, str] | None:
        if self._known[namespace] >= MAX_PER_NAMESPACE:
            return "namespace", f"{MAX_PER_NAMESPACE} pods of this namespace"
        return ("known", f"{MAX_KNOWN} pods") if self._known.total() >= MAX_KNOWN else None

    def _count(self, namespace: str, *, is_known: bool) -> Callable[[], None]:
        if is_known:
            self._known[namespace] += 1
            return lambda: self._leave(namespace)
        self._unknown += 1
        return self._leave_unknown

    def _leave(self, namespace: str) -> None:
        with self._lock:
            self._known[namespace] -= 1
            self._known += Counter()  # drops the zeros

    def _leave_unknown(self) -> None:
        with self._lock:
            self._unknown -= 1


class WorkloadGate:
    """Counts the reviews of workloads that wait. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._namespaces: set[str] = set()

    def enter(self, namespace: str) -> Callable[[], None] | None:
        """Count one more review; return what ends its wait. None: too many wait already."""
        with self._lock:
            if namespace in self._namespaces or len(self._namespaces) >= MAX_WORKLOADS:
                return None
            self._namespaces.add(namespace)
        return lambda: self._namespaces.discard(namespace)


class SharedReads:
    """Shares a read between all who asked for the object before it was sent. Thread-safe.

    A later one needs a read of its own: the object can have been created in between. So no absence is cached, and a
    ServiceAccount that is created a moment before its pod is always found.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, total_seconds: float = REVIEW_READS_SECONDS
    ) -> None:
        """`total_seconds` is for all reads of one review."""
        self._clock = clock
        self._total_seconds = total_seconds
        self._lock = Lock()
        self._reads: dict[str, _Read] = {}
        """The latest of each object; the oldest object first."""

    def read(
        self, key: str, asked_at: float, send: Callable[[], Metadata | None], timeout_seconds: float = LIVE_READ_SECONDS
    ) -> Metadata | None:
        """The answer of a read that is sent after `asked_at`, a time of the clock; raise its ClusterError.

        `timeout_seconds` is for the read of another review; the own one must end by itself.
        """
        with self._lock:
            found = self._reads.get(key)
            is_sender = found is None or found.sent_at <= asked_at
            if found is None or is_sender:
                found = self._add(key)
        if is_sender:
            found.send(send)
        if not found.wait(max(0.0, timeout_seconds)):
            raise UnreachableError(f"cannot get {key}: the read of another review takes too long")
        return found.answer()

    def find_left(self, asked_at: float) -> float:
        """Seconds for the next live read of a review that arrived then; 0 or less: none."""
        return min(LIVE_READ_SECONDS, asked_at + self._total_seconds - self._clock())

    def _add(self, key: str) -> "_Read":
        self._reads.pop(key, None)
        while len(self._reads) >= MAX_SHARED:
            del self._reads[next(iter(self._reads))]
        self._reads[key] = added = _Read(self._clock())
        return added


class _Read:
    """One read, and its answer."""

    def __init__(self, sent_at: float) -> None:
        self.sent_at = sent_at
        self._done = Event()
        self._found: Metadata | None = None
        self._error: BaseException | None = None

    def send(self, send: Callable[[], Metadata | None]) -> None:
        try:
            self._found = send()
        except BaseException as error:  # noqa: BLE001 - raised again for each who waits
            self._error = error
        self._done.set()

    def wait(self, timeout_seconds: float) -> bool:
        """Whether it has ended in time."""
        return self._done.wait(timeout_seconds)

    def answer(self) -> Metadata | None:
        """After its end."""
        if self._error is not None:
            raise self._error
        return self._found
