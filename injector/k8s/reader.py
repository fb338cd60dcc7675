"""Where namespaces and ServiceAccounts come from: one small interface, and one module for each place."""

from typing import Protocol

from injector.k8s.objects import Metadata


class MetadataReader(Protocol):
    """Reads metadata; raises ClusterError where it cannot tell whether something exists."""

    def namespace(self, name: str) -> Metadata | None:
        """A namespace's labels and annotations, or None if there is no such namespace."""

    def service_account(self, namespace: str, name: str) -> Metadata | None:
        """A ServiceAccount's labels and annotations, or None if there is no such account."""

    def version(self) -> tuple[int, int] | None:
        """Major and minor version of the API server; None where there is none to ask."""

    def is_cached(self, namespace: str, service_account: str) -> bool:
        """Whether all three questions, asked about these now, are answered without waiting for anything."""
