"""The input of the rules: a pod that is being created, its settings and its cluster. Pure."""

from typing import NamedTuple

from contract.modes import Mode
from injector.config import Config
from injector.decision.annotations import parse_annotations
from injector.decision.pod_settings import PodSettings
from injector.k8s.objects import EMPTY_METADATA, Metadata, Object, parse_metadata, read_spec
from injector.k8s.version import Version
from injector.metadata_keys import POD_SECURITY_LABEL, ROLE
from injector.reasons import Explanation
from injector.value_types import ModePolicy, OverrideName

POD_SECURITY_WITHOUT_REDIRECT = ("baseline", "restricted")
FARGATE_SCHEDULER = "fargate-scheduler"


class ClusterContext(NamedTuple):
    """The objects of the cluster that a decision needs. None: the object does not exist."""

    namespace: Metadata | None
    service_account: Metadata | None
    version: Version | None = None
    """None: there is no API server, only manifests."""


class AdmissionContext(NamedTuple):
    """Everything that a rule can read."""

    pod: Object
    metadata: Metadata
    has_namespace: bool
    has_service_account: bool
    namespace: Metadata
    settings: PodSettings
    errors: tuple[Explanation, ...]
    """Annotations with invalid values: the pod is denied."""

    warnings: tuple[Explanation, ...]
    """Annotations that have no effect."""

    mode: Mode
    mode_reason: str
    """Why env mode was chosen; empty in redirect mode."""

    version: Version | None
    config: Config

    @property
    def requires_users(self) -> bool:
        """Whether the pod must show that no other container can become the sidecar's user."""
        return self.settings.reaches_node(self.config) and self.config.node_access_requires_users

    @property
    def is_on_fargate(self) -> bool:
        """Whether the pod runs on Fargate, where it cannot reach a metadata service."""
        return is_on_fargate(self.pod)

    @property
    def has_pod_role_annotation(self) -> bool:
        """Whether the pod itself sets a role, not only its ServiceAccount or namespace."""
        return bool(self.metadata.annotations.get(ROLE))


def build_context(pod: Object, cluster_context: ClusterContext, config: Config) -> AdmissionContext:
    """Parse the annotations of the pod, its ServiceAccount and its namespace, and choose the mode."""
    metadata = parse_metadata(pod)
    namespace = cluster_context.namespace or EMPTY_METADATA
    settings, errors, warnings = parse_annotations(metadata, namespace, cluster_context.service_account, config)
    mode, mode_reason = choose_mode(pod, namespace, settings, config)
    return AdmissionContext(
        pod=pod,
        metadata=metadata,
        has_namespace=cluster_context.namespace is not None,
        has_service_account=cluster_context.service_account is not None,
        namespace=namespace,
        settings=settings,
        errors=errors,
        warnings=warnings,
        mode=mode,
        mode_reason=mode_reason,
        version=cluster_context.version,
        config=config,
    )


def choose_mode(pod: Object, namespace: Metadata, settings: PodSettings, config: Config) -> tuple[Mode, str]:
    """Choose the mode, and the reason for env mode: the pod's override, PODROLE_MODE, or what forbids the redirect.

    NET_ADMIN, which the redirect needs, violates `baseline` as well as `restricted`.
    https://kubernetes.io/docs/concepts/security/pod-security-standards/
    """
    if OverrideName.MODE in settings.overrides:
        return Mode.ENV, "podrole.io/mode: env"
    if config.mode == ModePolicy.ENV:
        return Mode.ENV, "PODROLE_MODE=env"
    problem = _find_redirect_problem(pod, namespace, config) if config.mode == ModePolicy.AUTO else ""
    return (Mode.ENV, problem) if problem else (Mode.REDIRECT, "")


def _find_redirect_problem(pod: Object, namespace: Metadata, config: Config) -> str:
    """Why the redirect cannot start. kustomize/base/guard/pods.yaml has the same conditions."""
    level = namespace.labels.get(POD_SECURITY_LABEL)
    if level in POD_SECURITY_WITHOUT_REDIRECT:
        return f"PodSecurity {level} of the namespace forbids the redirect"
    if is_on_fargate(pod):
        return "Fargate forbids the redirect"
    runtime_class = read_spec(pod).get("runtimeClassName")
    if runtime_class and runtime_class in config.env_runtime_classes:
        return f"PODROLE_ENV_RUNTIME_CLASSES has the pod's RuntimeClass {runtime_class}"
    return ""


def is_on_fargate(pod: Object) -> bool:
    """Whether a new pod is scheduled to Fargate.

    The label of a Fargate profile is no proof: with another scheduler such a pod runs on an ordinary node, as does one
    that names its node. https://docs.aws.amazon.com/eks/latest/userguide/fargate-pod-configuration.html
    """
    spec = read_spec(pod)
    return spec.get("schedulerName") == FARGATE_SCHEDULER and not spec.get("nodeName")
