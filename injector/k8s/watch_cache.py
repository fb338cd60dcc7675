"""The cluster as watches know it, with a live read where they cannot tell. Makes no connection before its start."""

import time
from collections.abc import Callable, Mapping

from kubernetes import client

from injector.errors import ClusterError
from injector.k8s.cached_metadata import build_key
from injector.k8s.client import PATHS, Transport
from injector.k8s.list_watch import ListWatch, WatchTimeouts
from injector.k8s.live import DirectReader
from injector.k8s.objects import Metadata
from injector.k8s.reflector import Reflector
from injector.labels import INJECTION_ENABLED, INJECTION_LABEL


class CachedReader:
    """Reads from memory what it can, and from the API server what it must.

    | what a question meets                            | where the answer comes from                          |
    |--------------------------------------------------|------------------------------------------------------|
    | not all objects were listed yet                  | nowhere: ClusterError                                |
    | known, and heard of the API server in 5 minutes  | memory: as the cluster was a moment ago              |
    | not known, or more than MOST_CHARACTERS          | live: an object is never taken for absent by memory  |
    | known, without the label that asks for injection | live: the API server asks only about labelled ones   |
    | nothing heard for longer                         | live: what was revoked shall not be granted for ever |

    So an account that was made in the same second as its pod gets its role, and no pod starts with the node's role
    because its namespace was labelled a moment ago. What lags is a change of what is known already: a role that an
    account no longer names, or a namespace no longer allows, may be given once more, normally for milliseconds, and
    for `max_staleness_seconds` at most (a lost connection is noticed earlier, after `read_timeout_seconds`).
    Only labels and annotations in CACHED_PREFIXES are given from memory.
    """

    def __init__(
        self,
        configuration: client.Configuration,
        on_live_read: Callable[[str], None],
        on_restart: Callable[[str, str], None],
        timeouts: WatchTimeouts | None = None,
    ) -> None:
        self._timeouts = timeouts or WatchTimeouts()
        self._live = DirectReader(configuration)
        transport = Transport(configuration)
        self._on_live_read = on_live_read
        self._namespaces, self._service_accounts = self._reflectors = tuple(
            Reflector(ListWatch(kind, transport, self._timeouts), on_restart, self._timeouts) for kind in PATHS
        )

    def start(self) -> None:
        """Begin to watch; after a fork, if there is one."""
        for reflector in self._reflectors:
            reflector.start()

    def stop(self) -> None:
        """End what `start` began."""
        for reflector in self._reflectors:
            reflector.stop()

    @property
    def is_synced(self) -> bool:
        """Whether everything was listed once, and so whether questions are answered."""
        return all(reflector.is_synced for reflector in self._reflectors)

    def wait_until_synced(self, timeout_seconds: float) -> bool:
        """Wait for that; tell whether it came."""
        deadline = time.monotonic() + timeout_seconds
        return all(reflector.wait_until_synced(max(0, deadline - time.monotonic())) for reflector in self._reflectors)

    def seconds_since_last_event(self) -> Mapping[str, float | None]:
        """For each kind: how long ago the API server last gave a sign of life. None: it never did."""
        return {reflector.kind: reflector.seconds_since_last_event() for reflector in self._reflectors}

    def last_event_timestamps(self) -> Mapping[str, float | None]:
        """For each kind: seconds since the epoch when the API server last sent something; None: it never did."""
        return {reflector.kind: reflector.last_event_timestamp for reflector in self._reflectors}

    def namespace(self, name: str) -> Metadata | None:
        """A namespace's labels and annotations, or None if there is no such namespace."""
        known = self._find_namespace(name)
        if known is not None:
            return known
        self._on_live_read(self._namespaces.kind)
        return self._live.namespace(name)

    def service_account(self, namespace: str, name: str) -> Metadata | None:
        """A ServiceAccount's labels and annotations, or None if there is no such account."""
        known = self._find(self._service_accounts, build_key(namespace, name))
        if known is not None:
            return known
        self._on_live_read(self._service_accounts.kind)
        return self._live.service_account(namespace, name)

    def version(self) -> tuple[int, int] | None:
        """Major and minor version of the API server, as LiveCluster has it."""
        return self._live.version()

    def is_cached(self, namespace: str, service_account: str) -> bool:
        """Whether all three questions, asked about these now, are answered without waiting for anything."""
        return not self.is_synced or (
            self._live.is_version_known
            and self._find_namespace(namespace) is not None
            and self._find(self._service_accounts, build_key(namespace, service_account)) is not None
        )

    def _find_namespace(self, name: str) -> Metadata | None:
        known = self._find(self._namespaces, name)
        return known if known is not None and known.labels.get(INJECTION_LABEL) == INJECTION_ENABLED else None

    def _find(self, reflector: Reflector, key: str) -> Metadata | None:
        if not reflector.is_synced:
            raise ClusterError(
                f"the {reflector.kind}s of the cluster are not all read yet, as the injector has just started or "
                f"the API server does not answer it: its log says which, and /readyz tells when it is ready"
            )
        age = reflector.seconds_since_last_event()
        return reflector.find(key) if age is not None and age <= self._timeouts.max_staleness_seconds else None
