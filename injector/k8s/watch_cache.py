"""Reads namespaces and ServiceAccounts from a cache that two watches update, and live where that may be wrong."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from kubernetes.client import Configuration

from injector.deadlines import WORKLOAD_READS_SECONDS
from injector.errors import ClusterError
from injector.k8s.cached_metadata import join_key
from injector.k8s.client import ApiClient
from injector.k8s.direct_reader import DirectReader
from injector.k8s.list_watch import PATHS, ListWatch
from injector.k8s.live_reads import Gate, SharedReads, WorkloadGate
from injector.k8s.objects import Metadata
from injector.k8s.reader import Reservation
from injector.k8s.reflector import Reflector
from injector.k8s.version import Version
from injector.k8s.watch_timeouts import WatchTimeouts
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL
from server.background import BackgroundThread


class CachedReader:
    """A MetadataReader with a cache. It connects when it is started, not before.

    | state of the cache                                | the answer comes from                                  |
    |---------------------------------------------------|--------------------------------------------------------|
    | the first list is not complete                    | nowhere: ClusterError                                  |
    | has the object, last event at most 5 minutes ago  | the cache, which is a moment behind the cluster        |
    | no such object, or it is too large to be cached   | a live read: the cache alone never proves an absence   |
    | the namespace lacks the label for injection       | a live read: the webhook only gets labelled namespaces |
    | last event more than 5 minutes ago                | a live read: a revoked role must not be granted for ever |

    So a ServiceAccount that is created in the same second as its pod gets its role, and no pod starts with the node's
    role because its namespace was labelled a moment ago. Only changes of cached objects can come late: a role that a
    ServiceAccount no longer names, or a namespace no longer allows, can be granted once more, normally for
    milliseconds, and for `max_staleness_seconds` at most. A lost connection is noticed after `read_timeout_seconds`.
    The cache has only the labels and annotations that decisions read.
    """

    def __init__(
        self,
        configuration: Configuration,
        on_live_read: Callable[[str], None],
        on_restart: Callable[[str, str], None],
        timeouts: WatchTimeouts | None = None,
        on_refused: Callable[[str], None] = lambda _limit: None,
    ) -> None:
        self._timeouts = timeouts or WatchTimeouts()
        self._live = DirectReader(configuration)
        client = ApiClient(configuration)
        self._on_live_read = on_live_read
        self._gate, self._reads = Gate(on_refused), SharedReads()
        # Their reads end sooner, so no review of a pod may depend on one.
        self._workload_gate, self._workload_reads = WorkloadGate(), SharedReads(total_seconds=WORKLOAD_READS_SECONDS)
        self._namespaces, self._service_accounts = self._reflectors = tuple(
            Reflector(ListWatch(kind, client, self._timeouts), on_restart, self._timeouts) for kind in PATHS
        )

    def start(self) -> None:
        """Start the watches; after a fork, if there is one."""
        for reflector in self._reflectors:
            reflector.start()

    def stop(self) -> None:
        """Stop the watches."""
        for reflector in self._reflectors:
            reflector.stop()

    @property
    def threads(self) -> Sequence[BackgroundThread]:
        """The threads of the watches."""
        return [reflector.thread for reflector in self._reflectors]

    @property
    def is_synced(self) -> bool:
        """Whether both first lists are complete, so that reads are answered."""
        return all(reflector.is_synced for reflector in self._reflectors)

    def wait_until_synced(self, timeout_seconds: float) -> bool:
        """Wait for both first lists; return whether they came in time."""
        deadline = time.monotonic() + timeout_seconds
        return all(reflector.wait_until_synced(max(0, deadline - time.monotonic())) for reflector in self._reflectors)

    def seconds_since_last_event(self) -> Mapping[str, float | None]:
        """By kind: seconds since the API server last sent something; None before it sent anything."""
        return {reflector.kind: reflector.seconds_since_last_event() for reflector in self._reflectors}

    def last_event_timestamps(self) -> Mapping[str, float | None]:
        """By kind: seconds since the epoch when the API server last sent something; None before it sent anything."""
        return {reflector.kind: reflector.last_event_timestamp for reflector in self._reflectors}

    def namespace(self, name: str, asked_at: float | None = None, reads: SharedReads | None = None) -> Metadata | None:
        """A namespace's labels and annotations that decisions read, or None if there is no such namespace.

        A live read that is sent after `asked_at` can answer: seconds of `time.monotonic`, by default now. `reads` are
        those of the kind of review, by default of pods.
        """
        cached = self._find_namespace(name)
        kind = self._namespaces.kind
        return cached or self._read(
            (kind, name), asked_at, reads or self._reads, lambda seconds: self._live.namespace(name, seconds)
        )

    def service_account(
        self, namespace: str, name: str, asked_at: float | None = None, reads: SharedReads | None = None
    ) -> Metadata | None:
        """A ServiceAccount's annotations that decisions read, or None if there is no such account."""
        key = join_key(namespace, name)
        cached = self._find(self._service_accounts, key)
        kind = self._service_accounts.kind
        return cached or self._read(
            (kind, key),
            asked_at,
            reads or self._reads,
            lambda seconds: self._live.service_account(namespace, name, seconds),
        )

    def reserve(self, namespace: str) -> Reservation:
        """Let one review of a pod wait for live reads; raise TooManyReadsError where too many wait already."""
        release = self._gate.enter(namespace, is_known=self.knows_namespace(namespace))
        return Reservation(_ReaderSince(self, time.monotonic(), self._reads), release)

    def reserve_workload(self, namespace: str) -> Reservation | None:
        """Let one review of a workload wait for live reads; None where others wait already."""
        release = self._workload_gate.enter(namespace)
        return Reservation(_ReaderSince(self, time.monotonic(), self._workload_reads), release) if release else None

    def knows_namespace(self, name: str) -> bool:
        """Whether the watch has this namespace, even if it is read live."""
        return self._namespaces.knows(name)

    def version(self, asked_at: float | None = None, reads: SharedReads | None = None) -> Version | None:
        """Major and minor version of the API server, as DirectReader has it."""
        return self._live.version((reads or self._reads).find_left(time.monotonic() if asked_at is None else asked_at))

    def is_cached(self, namespace: str, service_account: str) -> bool:
        """Whether all three reads for a pod return, or fail, without a request to the API server."""
        return not self.is_synced or (
            self._live.is_version_known
            and self._find_namespace(namespace) is not None
            and self._find(self._service_accounts, join_key(namespace, service_account)) is not None
        )

    def _read(
        self,
        thing: tuple[str, str],
        asked_at: float | None,
        reads: SharedReads,
        send: Callable[[float], Metadata | None],
    ) -> Metadata | None:
        asked_at = time.monotonic() if asked_at is None else asked_at
        left_seconds = reads.find_left(asked_at)
        kind, key = thing

        def count_and_send() -> Metadata | None:
            self._on_live_read(kind)
            return send(left_seconds)

        return reads.read(f"{kind} {key}", asked_at, count_and_send, left_seconds)

    def _find_namespace(self, name: str) -> Metadata | None:
        cached = self._find(self._namespaces, name)
        return cached if cached is not None and cached.labels.get(INJECTION_LABEL) == INJECTION_ENABLED else None

    def _find(self, reflector: Reflector, key: str) -> Metadata | None:
        if not reflector.is_synced:
            raise ClusterError(
                f"the injector has not read all {reflector.kind}s of the cluster yet: it has just started, or the "
                f"API server does not answer it. See its log, and /readyz"
            )
        age = reflector.seconds_since_last_event()
        return reflector.find(key) if age is not None and age <= self._timeouts.max_staleness_seconds else None


class _ReaderSince(NamedTuple):
    """A MetadataReader for one review, which shares the live reads that are sent after its arrival."""

    reader: CachedReader
    asked_at: float
    reads: SharedReads

    def namespace(self, name: str) -> Metadata | None:
        return self.reader.namespace(name, self.asked_at, self.reads)

    def service_account(self, namespace: str, name: str) -> Metadata | None:
        return self.reader.service_account(namespace, name, self.asked_at, self.reads)

    def version(self) -> Version | None:
        return self.reader.version(self.asked_at, self.reads)

    def is_cached(self, namespace: str, service_account: str) -> bool:
        return self.reader.is_cached(namespace, service_account)
