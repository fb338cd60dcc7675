"""Reviews of workloads as the API server sends them."""

import json
from typing import Any

from testing.cases import Pod

ROLE = {"iam.amazonaws.com/role": "reader"}
PLAIN_TEMPLATE: Pod = {"spec": {"containers": [{"name": "app", "image": "example/app:1"}]}}
GROUPS = {"CronJob": "batch", "Job": "batch", "ReplicationController": ""}


def build_workload(template: Pod, kind: str = "Deployment", **metadata: Any) -> dict[str, Any]:
    """A workload with this pod template."""
    spec: dict[str, Any] = {"template": template}
    if kind == "CronJob":
        spec = {"schedule": "@daily", "jobTemplate": {"spec": spec}}
    return {"metadata": {"name": "web", "namespace": "team-a", **metadata}, "spec": spec}


def build_review(workload: Any, old: Any = None, kind: str = "Deployment", **request: Any) -> bytes:
    """The review of its creation, or of its update if there is an old one."""
    sent = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": GROUPS.get(kind, "apps"), "version": "v1", "kind": kind},
        "operation": "UPDATE" if old else "CREATE",
        "namespace": "team-a",
        "object": workload,
        "oldObject": old,
        **request,
    }
    return json.dumps(
        {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": sent}, separators=(",", ":")
    ).encode()


def with_annotations(template: Pod, annotations: dict[str, str]) -> Pod:
    """The template, whose pods have these annotations."""
    return {**template, "metadata": {"annotations": annotations}}
