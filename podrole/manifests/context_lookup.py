"""Looks up a manifest's namespace and ServiceAccount in other manifests, and with --cluster in the live cluster."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from injector.decision.context import ClusterContext
from injector.decision.unknown_annotations import find_injection_label
from injector.k8s.objects import Metadata, Object, parse_metadata, read_service_account_name
from injector.k8s.version import Version, read_version
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL
from podrole.progress import progress_message


class Client(Protocol):
    """The method of `injector.k8s.client.ApiClient` that is needed here: the class takes half a second to import."""

    def get_or_none(self, path: str) -> Object | None:
        """The object at a path of the API, or None where it does not exist."""


class MetadataSource(Protocol):
    """The part of `injector.k8s.reader.MetadataReader` that the command needs."""

    def namespace(self, name: str) -> Metadata | None:
        """A namespace's labels and annotations."""

    def service_account(self, namespace: str, name: str) -> Metadata | None:
        """A ServiceAccount's labels and annotations."""

    def version(self) -> Version | None:
        """Major and minor of the API server."""


class ClusterMetadata:
    """Reads from the API server with the user's permissions, each object once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._cache: dict[str, Metadata | None] = {}

    def namespace(self, name: str) -> Metadata | None:
        """A namespace's labels and annotations, or None if there is no such namespace."""
        return self._get(f"namespace {name}", f"/api/v1/namespaces/{name}")

    def service_account(self, namespace: str, name: str) -> Metadata | None:
        """A ServiceAccount's labels and annotations, or None if there is no such account."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}"
        return self._get(f"ServiceAccount {namespace}/{name}", path)

    def version(self) -> Version | None:
        """Major and minor of the API server."""
        with progress_message("reading the version"):
            found = self._client.get_or_none("/version")
        return read_version(found) if found else None

    def _get(self, description: str, path: str) -> Metadata | None:
        if path not in self._cache:
            with progress_message(f"reading {description}"):
                found = self._client.get_or_none(path)
            self._cache[path] = parse_metadata(found) if found else None
        return self._cache[path]


@dataclass(frozen=True)
class ContextLookup:
    """Looks in the manifests first: what the user is about to apply wins over what the cluster has now."""

    manifests: MetadataSource
    live: MetadataSource | None = None

    def namespace(self, name: str) -> Metadata | None:
        """A namespace's labels and annotations."""
        found = self.manifests.namespace(name)
        return self.live.namespace(name) if found is None and self.live else found

    def service_account(self, namespace: str, name: str) -> Metadata | None:
        """A ServiceAccount's labels and annotations."""
        found = self.manifests.service_account(namespace, name)
        return self.live.service_account(namespace, name) if found is None and self.live else found

    def version(self) -> Version | None:
        """The API server's version; None without a cluster."""
        return self.live.version() if self.live else None

    @property
    def missing(self) -> str:
        """For messages about an object that was not found: where it was looked up."""
        return "neither among the manifests nor in the cluster" if self.live else "not among the manifests"

    @property
    def remedy(self) -> str:
        """For the same messages: how to make it known. Empty if both places were looked up."""
        return "" if self.live else " Give its manifest with --manifests, or read it from the cluster with --cluster."


class LookupResult(NamedTuple):
    """A pod's cluster context, and notes about it for the user."""

    cluster_context: ClusterContext
    notes: tuple[str, ...]


def find_cluster_context(pod: Object, namespace_name: str, lookup: ContextLookup) -> LookupResult:
    """The context for a decision. A user who injects by hand wants it, so a missing namespace label is only a note.

    linkerd and istioctl do the same: https://linkerd.io/2/features/proxy-injection/
    """
    namespace = lookup.namespace(namespace_name)
    account_name = read_service_account_name(pod)
    account = lookup.service_account(namespace_name, account_name)
    labelled = namespace or Metadata({}, {})
    labelled = labelled._replace(labels={**labelled.labels, INJECTION_LABEL: INJECTION_ENABLED})
    notes = [*_find_namespace_notes(namespace, namespace_name, lookup)]
    if account is None and account_name != "default":
        notes.append(
            f"ServiceAccount {account_name} is {lookup.missing}: its role, if it has one, is unknown.{lookup.remedy}"
        )
    # The webhook denies a pod of an account that does not exist. Here it is more likely in a file that was not given.
    return LookupResult(ClusterContext(labelled, account or Metadata({}, {}), lookup.version()), tuple(notes))


def _find_namespace_notes(namespace: Metadata | None, name: str, lookup: ContextLookup) -> Iterator[str]:
    if namespace is None:
        unknown = "its default role, its allow-list and its PodSecurity level are unknown"
        yield f"Namespace {name} is {lookup.missing}: {unknown}.{lookup.remedy}"
    elif namespace.labels.get(INJECTION_LABEL) != INJECTION_ENABLED:
        label = f"{INJECTION_LABEL}: {INJECTION_ENABLED}"
        instead = f" (it has {found})" if (found := find_injection_label(namespace)) else ""
        yield f"Namespace {name} lacks the label {label}{instead}, so the webhook leaves its pods alone."
