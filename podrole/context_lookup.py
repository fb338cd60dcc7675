"""Where a manifest's namespace and ServiceAccount come from: other manifests, then the live cluster if it is asked."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from injector.decision.context import ClusterContext, Version
from injector.k8s.objects import Metadata, Object, parse_metadata, read_service_account_name
from injector.labels import INJECTION_ENABLED, INJECTION_LABEL
from podrole.progress import progress_message


class Reader(Protocol):
    """What is needed of `injector.k8s.inspection`, which costs half a second to import."""

    def read(self, path: str) -> Object | None:
        """The object at a path of the API; None if there is none."""


class MetadataSource(Protocol):
    """A place in which objects are looked up; as `injector.k8s.reader.Cluster`, of which a person needs less."""

    def namespace(self, name: str) -> Metadata | None:
        """A namespace's labels and annotations."""

    def service_account(self, namespace: str, name: str) -> Metadata | None:
        """A ServiceAccount's labels and annotations."""

    def version(self) -> Version | None:
        """Major and minor of the API server."""


class ClusterMetadata:
    """Reads through the API server with a person's rights, each object once."""

    def __init__(self, client: Reader) -> None:
        self._client = client
        self._known: dict[str, Metadata | None] = {}

    def namespace(self, name: str) -> Metadata | None:
        """A namespace's labels and annotations, or None if there is no such namespace."""
        return self._read(f"namespace {name}", f"/api/v1/namespaces/{name}")

    def service_account(self, namespace: str, name: str) -> Metadata | None:
        """A ServiceAccount's labels and annotations, or None if there is no such account."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}"
        return self._read(f"ServiceAccount {namespace}/{name}", path)

    def version(self) -> Version | None:
        """Major and minor of the API server."""
        with progress_message("reading the version"):
            found = self._client.read("/version")
        return parse_version(found) if found else None

    def _read(self, what: str, path: str) -> Metadata | None:
        if path not in self._known:
            with progress_message(f"reading {what}"):
                found = self._client.read(path)
            self._known[path] = parse_metadata(found) if found else None
        return self._known[path]


def parse_version(document: Object) -> Version:
    """Major and minor of what /version answers; a managed cluster's minor may be `34+`."""
    return int(document["major"]), int(str(document["minor"]).rstrip("+"))


@dataclass(frozen=True)
class ContextLookup:
    """The places to look in, the nearest first: what is about to be applied wins over what is there."""

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
        """The API server's version, where one is asked."""
        return self.live.version() if self.live else None

    @property
    def missing(self) -> str:
        """How it is said that something is in none of them."""
        return "neither among the manifests nor in the cluster" if self.live else "not among the manifests"

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return "" if self.live else " Give its manifest with --manifests, or ask the cluster with --cluster."


class LookupResult(NamedTuple):
    """What surrounds a pod, and what the person should know about that."""

    cluster_context: ClusterContext
    notes: tuple[str, ...]


def find_cluster_context(pod: Object, namespace_name: str, lookup: ContextLookup) -> LookupResult:
    """What a decision needs. Who injects by hand wants it, so a namespace's label is not asked for, but missed aloud.

    linkerd and istioctl have it so: https://linkerd.io/2/features/proxy-injection/
    """
    namespace = lookup.namespace(namespace_name)
    account_name = read_service_account_name(pod)
    account = lookup.service_account(namespace_name, account_name)
    labelled = namespace or Metadata({}, {})
    labelled = labelled._replace(labels={**labelled.labels, INJECTION_LABEL: INJECTION_ENABLED})
    notes = [*_find_namespace_notes(namespace, namespace_name, lookup)]
    if account is None and account_name != "default":
        notes.append(
            f"ServiceAccount {account_name} is {lookup.missing}: a role that it names is not known.{lookup.remedy}"
        )
    return LookupResult(ClusterContext(labelled, account, lookup.version()), tuple(notes))


def _find_namespace_notes(namespace: Metadata | None, name: str, lookup: ContextLookup) -> Iterator[str]:
    if namespace is None:
        unknown = "its default role, its allow-list and its PodSecurity level are not known"
        yield f"Namespace {name} is {lookup.missing}: {unknown}.{lookup.remedy}"
    elif namespace.labels.get(INJECTION_LABEL) != INJECTION_ENABLED:
        label = f"{INJECTION_LABEL}: {INJECTION_ENABLED}"
        yield f"Namespace {name} lacks the label {label}, so the webhook leaves its pods alone."
