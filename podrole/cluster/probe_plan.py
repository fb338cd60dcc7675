"""What `podrole preflight --probe` creates."""

import copy
import secrets
from collections.abc import Mapping
from typing import NamedTuple

import yaml

from injector.errors import ConfigError
from injector.k8s.client import ApiClient
from injector.k8s.objects import Object, read_mapping
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL
from injector.value_types import DNS_LABEL
from podrole.diagnosis.cluster.checks import build_check_context
from podrole.diagnosis.probes import MAX_RUNTIME_CLASSES, ProbePod, build_namespace, build_probe_pods
from podrole.diagnosis.state.cluster import ClusterState
from podrole.diagnosis.state.installed_config import REQUIRED
from podrole.findings import format_number
from podrole.progress import progress_message

RUNTIME_CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"
NAMESPACES = "/api/v1/namespaces"


ANY_REGION = {"PODROLE_REGION": "us-east-1"}
UNKNOWN_SETTINGS = (
    "the webhook's settings are unknown. Before podrole is installed, name the sidecar's image: --probe-image IMAGE. "
)


class ProbePlan(NamedTuple):
    """What --probe creates."""

    namespace: str
    is_temporary: bool
    pods: tuple[ProbePod, ...]
    omitted: tuple[str, ...]
    """RuntimeClasses beyond the limit."""

    @property
    def manifests(self) -> list[Object]:
        """Everything, in the order in which it is created."""
        metadata = {"namespace": self.namespace}
        pods = [{**pod.manifest, "metadata": {**pod.manifest["metadata"], **metadata}} for pod in self.pods]
        return [*([build_namespace(self.namespace)] if self.is_temporary else []), *pods]


class ProbeOptions(NamedTuple):
    """What the user chose."""

    namespace: str | None = None
    """None: a temporary one."""

    image: str | None = None
    """None: the sidecar's image of the installed webhook."""

    node: str | None = None
    """None: any."""


def plan_probes(
    client: ApiClient, cluster: ClusterState, environ: Mapping[str, str], options: ProbeOptions
) -> ProbePlan:
    """Plan the pods. Raise ConfigError where the webhook's settings are unknown, and no image is named."""
    namespace = options.namespace
    given = {REQUIRED: options.image} if options.image else {}
    context = build_check_context(cluster, {**environ, **given}, 0)
    if context.effective_config is None and given:  # before the installation: no rule depends on a region
        context = build_check_context(cluster, {**ANY_REGION, **environ, **given}, 0)
    if context.effective_config is None:
        raise ConfigError(f"{UNKNOWN_SETTINGS}{context.config_error}")
    suffix = secrets.token_hex(3)
    runtime_classes = list_runtime_classes(client)
    return ProbePlan(
        namespace or f"podrole-preflight-{suffix}",
        namespace is None,
        tuple(build_probe_pods(context.effective_config, runtime_classes, suffix, options.node)),
        tuple(runtime_classes[MAX_RUNTIME_CLASSES:]),
    )


def describe_plan(plan: ProbePlan) -> str:
    """Name what will be created."""
    pods = format_number(len(plan.pods), "pod")
    return (
        f"namespace {plan.namespace} and {pods} in it" if plan.is_temporary else f"{pods} in namespace {plan.namespace}"
    )


def format_plan(plan: ProbePlan) -> str:
    """The manifests as YAML."""
    return yaml.safe_dump_all(copy.deepcopy(plan.manifests), sort_keys=False)


def check_namespace(client: ApiClient, name: str) -> None:
    """Raise ConfigError if the probe pods cannot be in this namespace."""
    if not DNS_LABEL.accepts(name):
        raise ConfigError(f"--probe-namespace: {name!r} is not the name of a namespace")
    namespace = client.get_or_none(f"{NAMESPACES}/{name}")
    if namespace is None:
        raise ConfigError(f"--probe-namespace: namespace {name} does not exist")
    labels = read_mapping(read_mapping(namespace, "metadata"), "labels")
    if labels.get(INJECTION_LABEL) == INJECTION_ENABLED:
        raise ConfigError(
            f"--probe-namespace: namespace {name} has the label {INJECTION_LABEL}, so the webhook would change the "
            "probe pods: use one without it"
        )


def list_runtime_classes(client: ApiClient) -> list[str]:
    """The names of all RuntimeClasses."""
    with progress_message("reading RuntimeClasses"):
        return sorted(str(read_mapping(one, "metadata").get("name")) for one in client.list(RUNTIME_CLASSES))
