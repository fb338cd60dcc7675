"""The input of the cluster's checks, and the type of one check."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from injector.k8s.objects import Object, read_mapping
from podrole.diagnosis.state.cluster import ClusterState, Installation, ReadResult
from podrole.diagnosis.state.installed_config import DeployedEnv, EffectiveConfig
from podrole.findings import Finding

MAX_NAMES = 5


@dataclass(frozen=True, slots=True)
class CheckContext:
    """A cluster's state at one moment, and the webhook's configuration in it."""

    cluster: ClusterState
    now: float
    """Seconds since the epoch."""

    deployed_env: DeployedEnv | None = None
    """The environment variables of the webhook's Deployment; None without a Deployment."""

    effective_config: EffectiveConfig | None = None
    """The webhook's configuration; None where it is invalid or could not be read."""

    config_error: str = ""
    """Why `effective_config` is None."""

    own_environ: Mapping[str, str] = field(default_factory=dict)
    """The environment of whoever runs the command, which takes precedence over the Deployment's."""

    @property
    def installation(self) -> Installation:
        """The API server's version, the webhooks and podrole's Deployment."""
        return self.cluster.installation

    @property
    def namespaces(self) -> tuple[Object, ...]:
        """The namespaces that are checked: those of --namespace, or all labelled ones."""
        return self.cluster.namespaces.value


class Check(NamedTuple):
    """One check of a cluster."""

    title: str
    """Of the section that its findings are printed in."""

    subject: str
    """Completes "Cannot determine ..." where a required read failed."""

    requires: Callable[[ClusterState], Sequence[ReadResult[object]]]
    """The reads that must have succeeded."""

    find: Callable[[CheckContext], Iterator[Finding]]


def read_name(thing: Object) -> str:
    """Return the name, with the namespace in front of it for a namespaced object."""
    metadata = read_mapping(thing, "metadata")
    return "/".join(str(metadata[key]) for key in ("namespace", "name") if metadata.get(key))


def join_names(names: Sequence[str]) -> str:
    """Join the first MAX_NAMES names, and add how many more there are."""
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
