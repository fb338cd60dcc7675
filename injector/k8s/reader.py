"""The interface that decisions read namespaces and ServiceAccounts through."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from injector.k8s.objects import Metadata
from injector.k8s.version import Version


class MetadataReader(Protocol):
    """Reads metadata; raises ClusterError where it is unknown whether an object exists."""

    def namespace(self, name: str) -> Metadata | None:
        """A namespace's labels and annotations, or None if there is no such namespace."""

    def service_account(self, namespace: str, name: str) -> Metadata | None:
        """A ServiceAccount's labels and annotations, or None if there is no such account."""

    def version(self) -> Version | None:
        """Major and minor version of the API server; None without an API server."""

    def is_cached(self, namespace: str, service_account: str) -> bool:
        """Whether all three reads for a pod return, or fail, without a request."""


class Reservation(NamedTuple):
    """The right of one review to wait for reads."""

    reader: MetadataReader
    release: Callable[[], None]
    """Call it once, when the review is answered."""
