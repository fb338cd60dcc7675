"""Objects of every kind that has a pod template, built around a given pod."""

import copy
from typing import Any

Manifest = dict[str, Any]

KINDS = {
    "Pod": "v1",
    "PodTemplate": "v1",
    "ReplicationController": "v1",
    "DaemonSet": "apps/v1",
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
}
"""API versions by kind."""


def build_workload(kind: str, pod: Manifest) -> Manifest:
    """Build an object of this kind from a pod. The pod's namespace becomes the object's."""
    pod = copy.deepcopy(pod)
    metadata = {"name": "app", "namespace": pod["metadata"].get("namespace", "default")}
    if kind == "Pod":
        return {"apiVersion": "v1", "kind": "Pod", **pod}
    template = {key: value for key, value in pod.items() if key in {"metadata", "spec"}}
    template["metadata"] = {k: v for k, v in pod["metadata"].items() if k in {"annotations", "labels"}}
    head = {"apiVersion": KINDS[kind], "kind": kind, "metadata": metadata}
    if kind == "PodTemplate":
        return {**head, "template": template}
    if kind == "CronJob":
        return {**head, "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}}}
    return {**head, "spec": {"replicas": 1, "template": template}}


def find_pod(workload: Manifest) -> Manifest:
    """Return the object's pod or pod template."""
    match workload["kind"]:
        case "Pod":
            return workload
        case "PodTemplate":
            found: Manifest = workload["template"]
        case "CronJob":
            found = workload["spec"]["jobTemplate"]["spec"]["template"]
        case _:
            found = workload["spec"]["template"]
    return found
