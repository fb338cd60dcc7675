"""Parses reviews of workloads: which kind it is, its pod template, and what of it is new. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from injector.errors import ReviewError
from injector.k8s.objects import Object, read_mapping, read_pod_name, read_service_account_name
from injector.k8s.workload_kinds import BUILT_IN_GROUPS, WORKLOAD_KINDS
from injector.value_types import DNS_LABEL, DNS_SUBDOMAIN
from injector.webhook.admission_review import parse_envelope
from injector.webhook.messages import MAX_NAME

TEMPLATE_PATHS: Mapping[tuple[str, str], str] = {
    group_kind: path
    for group_kind, kind in WORKLOAD_KINDS.items()
    if group_kind[0] in BUILT_IN_GROUPS
    for path in kind.paths
    if path.startswith("spec.")
}
"""By API group and kind: where the pod template is. kustomize/base/warnings.yaml has the same kinds.

Custom kinds are left out: one can have several templates, or refer to another object's.
"""

OPERATIONS = ("CREATE", "UPDATE")
MAPS = ("labels", "annotations")
NOTHING: Object = MappingProxyType({})


class WorkloadReview(NamedTuple):
    """The parsed request of a review."""

    uid: str
    kind: str = ""
    """Empty: it has no pod template, or does not change one."""

    name: str = ""
    """For messages: not yet quoted."""

    namespace: str = ""
    service_account: str = ""
    pod: Object = NOTHING
    """What its controller would create, as far as decisions read it."""

    is_template_changed: bool = False
    metadata: Object = NOTHING
    """The labels and annotations of the workload itself; of an update that keeps the template, only the added ones."""

    path: str = ""
    """Of its pod template."""


def parse_workload_review(body: bytes) -> WorkloadReview:
    """Parse the body of a request; raise ReviewError with the first problem."""
    uid, request = parse_envelope(body)
    group_kind = read_mapping(request, "kind")
    path = TEMPLATE_PATHS.get((str(group_kind.get("group")), str(group_kind.get("kind"))))
    if path is None or request.get("operation") not in OPERATIONS or request.get("subResource"):
        return WorkloadReview(uid)
    namespace, workload, old = request.get("namespace"), request.get("object"), read_mapping(request, "oldObject")
    if not isinstance(namespace, str) or not DNS_LABEL.accepts(namespace):
        raise ReviewError(f"request {uid} is for a workload without a namespace")
    if not isinstance(workload, dict):
        raise ReviewError(f"request {uid} is for a workload, but its object is a {type(workload).__name__}")
    pod = _build_pod(_read_template(workload, path), namespace)
    account = read_service_account_name(pod)
    if len(account) > MAX_NAME or not DNS_SUBDOMAIN.accepts(account):
        raise ReviewError(f"request {uid} is for pods whose serviceAccountName is not a valid name")
    is_changed = not old or _differs(uid, _read_template(workload, path), _read_template(old, path))
    metadata = read_mapping(workload, "metadata")
    return WorkloadReview(
        uid=uid,
        kind=str(group_kind["kind"]),
        name=read_pod_name(workload),
        namespace=namespace,
        service_account=account,
        pod=pod,
        is_template_changed=is_changed,
        metadata=metadata if is_changed else _find_added(metadata, read_mapping(old, "metadata")),
        path=path,
    )


def _read_template(workload: Object, path: str) -> Object:
    found = workload
    for key in path.split("."):
        found = read_mapping(found, key)
    return found


def _differs(uid: str, template: Object, old: Object) -> bool:
    try:
        return template != old
    except RecursionError as error:
        raise ReviewError(f"request {uid} has a pod template that is nested too deeply") from error


def _build_pod(template: Object, namespace: str) -> Object:
    return {"metadata": {**read_mapping(template, "metadata"), "namespace": namespace}, "spec": template.get("spec")}


def _find_added(metadata: Object, old: Object) -> Object:
    added: dict[str, Any] = {}
    for field in MAPS:
        known = read_mapping(old, field)
        added[field] = {key: value for key, value in read_mapping(metadata, field).items() if key not in known}
    return added
