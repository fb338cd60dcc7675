"""A cluster before it leaves kube2iam, Kiam and IRSA: 14 namespaces, more than 50 workloads, some of them wrong.

Each file in namespaces/ is one in a short form, which `build_namespace` expands to manifests:

labels, annotations: of the namespace
accounts: ServiceAccounts: name -> annotations
limits: of each container (LimitRange)
quota: hard limits (ResourceQuota)
defaults: fields of every workload
workloads: Kind/name -> role (kube2iam's annotation of the pod template), annotations (of the template), own
    (annotations of the workload itself), account, and fields of spec, pod and container
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

Manifest = dict[str, Any]

FOLDER = Path(__file__).parent / "namespaces"
FILES = sorted(FOLDER.glob("*.yaml"))
AGENTS = "kube-system"
"""The namespace of the stand-ins of kube2iam and Kiam. Every cluster has it."""

NAMESPACES = tuple(file.stem for file in FILES if file.stem != AGENTS)
IMAGE = "localhost/podrole-test-app:1"
"""The app image of the tests on a real cluster."""

ROLE = "iam.amazonaws.com/role"
API_VERSIONS = {"Pod": "v1", "ReplicationController": "v1", "Job": "batch/v1", "CronJob": "batch/v1"}
"""By kind; all others are apps/v1."""

SPECS: dict[str, Manifest] = {"StatefulSet": {"serviceName": ""}, "CronJob": {"schedule": "0 3 * * *"}}
ENDING = ("Job", "CronJob")


class Wrong(NamedTuple):
    """A mistake in the estate."""

    namespace: str
    name: str
    """Kind/name."""

    mistake: str
    words: str
    """What a command that names the cause says of it."""


WRONG = {
    "annotation-on-workload": Wrong(
        "platform",
        "Deployment/autoscaler",
        "the role is on the Deployment, not on its pod template",
        "of the Deployment has no effect",
    ),
    "external-id": Wrong(
        "identity",
        "Deployment/federation",
        "an external id without an intermediate role",
        "iam.amazonaws.com/external-id",
    ),
    "host-network-role": Wrong("monitoring", "DaemonSet/flow-logs", "a role on a pod with hostNetwork", "hostNetwork"),
    "instance-profile": Wrong(
        "legacy", "Deployment/reports", "the ARN of an instance profile", "instance-profile/legacy-reports"
    ),
    "irsa-key-on-pod": Wrong(
        "billing", "Deployment/dunning", "IRSA's annotation on a pod template", "eks.amazonaws.com/role-arn of the pod"
    ),
    "label-true": Wrong("ingest", "Namespace/ingest", "the label has the value true", 'podrole.io/injection: "true"'),
    "missing-account": Wrong(
        "billing", "Deployment/statements", "its ServiceAccount does not exist", "ServiceAccount statements"
    ),
    "misspelt-key": Wrong("orders", "Deployment/mailer", "a misspelt key of an annotation", "iam.amazon.com/role"),
    "path-without-pattern": Wrong(
        "data", "Deployment/export", "no allowed pattern has the path of the role", "does not allow the role"
    ),
    "quota-full": Wrong("queue", "Namespace/queue", "the quota has no room for sidecars", "requests.memory"),
    "reserved-container": Wrong("ml", "Deployment/tracker", "a container has a reserved name", "podrole-tracker"),
    "role-not-allowed": Wrong(
        "tools", "CronJob/report", "a suspended CronJob has the role of another team", "does not allow the role"
    ),
    "session-name": Wrong("identity", "Deployment/tokens", "a session name with #", "iam.amazonaws.com/session-name"),
}
"""By the comment that marks it in the fixture (`# wrong: NAME`)."""


def load(namespace: str) -> Manifest:
    """Load a namespace in its short form."""
    loaded: Manifest = yaml.safe_load((FOLDER / f"{namespace}.yaml").read_text())
    return loaded


def build_estate(image: str = IMAGE) -> list[Manifest]:
    """Build the manifests of all namespaces and of the node agents, in the order in which they can be applied."""
    return [manifest for file in FILES for manifest in build_namespace(file.stem, image)]


def build_namespace(name: str, image: str = IMAGE) -> list[Manifest]:
    """Build the manifests of one namespace: first the namespace itself, its ServiceAccounts, limits and quota."""
    return list(_expand(name, load(name), image))


def _expand(namespace: str, short: Mapping[str, Any], image: str) -> Iterator[Manifest]:
    if namespace != AGENTS:
        yield _build("v1", "Namespace", namespace, labels=short.get("labels"), annotations=short.get("annotations"))
    for name, annotations in short.get("accounts", {}).items():
        yield _build("v1", "ServiceAccount", name, namespace, annotations=annotations)
    if limits := short.get("limits"):
        yield _build("v1", "LimitRange", "containers", namespace) | {
            "spec": {"limits": [{"type": "Container", **limits}]}
        }
    if quota := short.get("quota"):
        yield _build("v1", "ResourceQuota", "team", namespace) | {"spec": {"hard": quota}}
    for key, fields in short["workloads"].items():
        kind, _, name = key.partition("/")
        yield build_workload(kind, name, namespace, {**short.get("defaults", {}), **fields}, image)


def build_workload(kind: str, name: str, namespace: str, fields: Mapping[str, Any], image: str = IMAGE) -> Manifest:
    """Build a workload from its short form."""
    api_version = API_VERSIONS.get(kind, "apps/v1")
    labels = {"app": name}
    roles = {ROLE: fields["role"]} if "role" in fields else {}
    head = _build(api_version, kind, name, namespace, annotations=fields.get("own"))
    template = {
        "metadata": {"labels": labels, "annotations": {**roles, **fields.get("annotations", {})}},
        "spec": _build_pod_spec(kind, fields, image),
    }
    more = {**SPECS.get(kind, {}), **fields.get("spec", {})}
    match kind:
        case "Pod":
            template["metadata"] = {**head["metadata"], **template["metadata"]}
            return {**head, **template}
        case "CronJob":
            return {**head, "spec": {**more, "jobTemplate": {"spec": {"template": template}}}}
        case "Job":
            return {**head, "spec": {**more, "template": template}}
        case "ReplicationController":
            return {**head, "spec": {**more, "selector": labels, "template": template}}
        case _:
            return {**head, "spec": {**more, "selector": {"matchLabels": labels}, "template": template}}


def _build_pod_spec(kind: str, fields: Mapping[str, Any], image: str) -> Manifest:
    is_ending = kind in ENDING
    container = {
        "name": "app",
        "image": image,
        "command": ["true"] if is_ending else ["sleep", "infinity"],
        "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}},
    }
    account = {"serviceAccountName": fields["account"]} if "account" in fields else {}
    return {
        **account,
        **({"restartPolicy": "Never"} if is_ending else {}),
        "terminationGracePeriodSeconds": 1,  # sleep ignores SIGTERM
        "containers": [{**container, **fields.get("container", {})}],
        **fields.get("pod", {}),
    }


def _build(
    api_version: str, kind: str, name: str, namespace: str = "", **metadata: Mapping[str, str] | None
) -> Manifest:
    given = {key: dict(value) for key, value in metadata.items() if value}
    where = {"namespace": namespace} if namespace else {}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **where, **given}}
