"""Workloads, as their controllers leave them, and estates of them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from injector.errors import ClusterError
from podrole.diagnosis.overview.grouping import group_workloads
from podrole.diagnosis.overview.state import EstateState
from podrole.diagnosis.overview.workloads import OverviewResult, diagnose_estate
from podrole.diagnosis.pods.decision_input import DecisionInput, load_settings
from podrole.diagnosis.state.cluster import ReadResult
from podrole.diagnosis.state.workload import WorkloadState
from podrole.diagnosis.workloads.workload import diagnose_workload
from podrole.estate.objects import Estate, UnreadKind, place_template
from podrole.findings import Finding
from testing.cases import Pod
from tests.unit.podrole.diagnosis.states import (
    LATER,
    NOW,
    SAFE,
    build_deployment,
    build_namespace,
    build_pod_state,
)
from tests.unit.podrole.workloads import KINDS

DENIAL = 'admission webhook "pods.podrole.io" denied the request: [RoleNotAllowed] No.'
READER = {"iam.amazonaws.com/role": "reader"}
APP = {"name": "app", "image": "example/app:1"}
VERSIONS = {"Job": "batch/v1", "CronJob": "batch/v1", "ReplicationController": "v1", "Rollout": "argoproj.io/v1alpha1"}
INSTALLATION = build_pod_state(
    deployment=build_deployment({**SAFE, "PODROLE_SIDECAR_IMAGE": "example/podrole-sidecar:1"})
).installation
SETTINGS = load_settings(INSTALLATION, {})


def build_workload(
    kind: str = "Deployment",
    status: Mapping[str, Any] | None = None,
    annotations: Mapping[str, str] = READER,
    **spec: Any,
) -> dict[str, Any]:
    """A workload named `web`, with what its controller wrote."""
    template = {"metadata": {"labels": {"app": "web"}, "annotations": dict(annotations)}, "spec": {"containers": [APP]}}
    fields = {"jobTemplate": {"spec": {"template": template}}} if kind == "CronJob" else {"template": template}
    return {
        "apiVersion": VERSIONS.get(kind, "apps/v1"),
        "kind": kind,
        "metadata": {"namespace": "team-a", "name": "web", "uid": f"{kind}-uid"},
        "spec": {**fields, **spec},
        "status": dict(status or {}),
    }


def build_event(message: str = DENIAL, uid: str = "Deployment-uid", reason: str = "FailedCreate") -> dict[str, Any]:
    """A warning of a controller or of the kubelet."""
    return {
        "type": "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": LATER,
        "involvedObject": {"uid": uid},
    }


def build_state(obj: dict[str, Any], *events: dict[str, Any], **changes: Any) -> WorkloadState:
    """What is read about one workload."""
    spec = obj["spec"]
    template = spec.get("template") or spec["jobTemplate"]["spec"]["template"]
    values: dict[str, Any] = {
        "templates": (place_template(template, "team-a"),),
        "events": ReadResult(events),
        **changes,
    }
    return WorkloadState(obj, obj["kind"].lower(), **values)


def diagnose(obj: dict[str, Any], *events: dict[str, Any], **changes: Any) -> tuple[Finding, ...]:
    """The findings about one workload, in a labelled namespace."""
    return diagnose_state(build_state(obj, *events, **changes))


def diagnose_state(state: WorkloadState, default_role: str | None = None) -> tuple[Finding, ...]:
    """The findings about what was read of one workload, in a namespace with this default role."""
    assert SETTINGS.effective_config
    estate = build_estate()
    accounts = {"default": estate.accounts["team-a", "default"]}
    namespace = estate.namespaces["team-a"]
    if default_role:
        namespace = namespace._replace(annotations={"podrole.io/default-role": default_role})
    return diagnose_workload(state, DecisionInput(SETTINGS.effective_config, namespace, accounts, None))


def build_estate(*objects: Mapping[str, Any], labelled: bool = True) -> Estate:
    """An estate of one namespace."""
    estate = Estate(is_complete=True)
    labels = {} if labelled else {"other": "label"}
    estate.add({"kind": "Namespace", **build_namespace("team-a", **labels)})
    estate.add({"kind": "ServiceAccount", "metadata": {"namespace": "team-a", "name": "default"}})
    for obj in objects:
        estate.add(dict(obj))
    return estate


def diagnose_all(
    *objects: Mapping[str, Any],
    events: Sequence[dict[str, Any]] = (),
    statuses: Mapping[str, Any] | None = None,
    unread: Mapping[str, str] | None = None,
    unread_kind: str = "",
    labelled: bool = True,
    **changes: Any,
) -> OverviewResult:
    """The findings about all workloads. `statuses` are sidecars' by the pod's uid, `unread` the errors."""
    estate = build_estate(*objects, labelled=labelled)
    if unread_kind:
        estate.unread.append(UnreadKind(unread_kind, ClusterError("forbidden"), is_custom=False))
        estate.unread_names.add(unread_kind)
        estate.accounts.clear()
        estate.namespaces = {} if unread_kind == "Namespace" else estate.namespaces
    changes = {"installation": INSTALLATION, "settings": SETTINGS, "estate": estate, **changes}
    given = EstateState(
        states=tuple(group_workloads(estate, events)),
        statuses={uid: ReadResult(json.dumps(status)) for uid, status in (statuses or {}).items()}
        | {uid: ReadResult(None, error) for uid, error in (unread or {}).items()},
        now=NOW,
        events=tuple(events),
        **changes,
    )
    return diagnose_estate(given)


def own(pod: Pod, kind: str = "StatefulSet", owner: str = "web", **metadata: Any) -> Pod:
    """The pod, or the Job, with this controller instead of its own."""
    pod.setdefault("kind", "Pod")
    pod.setdefault("apiVersion", "v1")
    reference = {"apiVersion": KINDS.get(kind, "example.com/v1"), "kind": kind, "name": owner, "controller": True}
    pod["metadata"] |= {"ownerReferences": [reference], **metadata}
    return pod
