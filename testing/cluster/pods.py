"""Builds, creates and compares pods."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from testing.cluster.api import ApiServer

Pod = dict[str, Any]

ROLE = {"iam.amazonaws.com/role": "reader"}
READER = "arn:aws:iam::111122223333:role/reader"
OURS = ["podrole-redirect", "podrole-sidecar"]
APP = {"name": "app", "image": "example/app:1"}
LOADED = {"terminated": {"exitCode": 0}}
"""The state of podrole-redirect after it has loaded the rules."""

TOKEN_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"


def build_pod(annotations: Mapping[str, str] = ROLE, *, name: str = "app", **spec: Any) -> Pod:
    """Build a pod with one container and a role."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": dict(annotations)},
        "spec": {"containers": [dict(APP)], **spec},
    }


def store(api: ApiServer, pod: Pod, namespace: str, *, dry_run: bool = False) -> Pod:
    """Create a pod; return it as the API server stored it, or would store it."""
    created = api.create(pod, namespace, dry_run=dry_run).object
    return created if dry_run else api.read("Pod", created["metadata"]["name"], namespace)


def renew(pod: Pod, name: str = "again") -> Pod:
    """Convert a stored pod to one that can be created again, without fields that only the API server writes."""
    metadata = {key: pod["metadata"][key] for key in ("labels", "annotations") if key in pod["metadata"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **metadata},
        "spec": copy.deepcopy(pod["spec"]),
    }


def names_of(pod: Pod, field: str) -> list[str]:
    """The names of the containers in a field of the spec, in order."""
    return [container["name"] for container in pod["spec"].get(field) or []]


def mounts_of(container: Mapping[str, Any]) -> dict[str, str]:
    """Mount path -> volume."""
    return {mount["mountPath"]: mount["name"] for mount in container.get("volumeMounts") or []}


def find_losses(expected: Pod, stored: Pod) -> Iterator[str]:
    """List expected values that were not stored. The API server can add defaults and drop empty values."""
    # The volume of the API token comes first.
    volumes = [
        volume for volume in stored["spec"].get("volumes", []) if not volume["name"].startswith("kube-api-access-")
    ]
    yield from _find_losses(expected, {**stored, "spec": {**stored["spec"], "volumes": volumes}}, "")


def _find_losses(expected: Any, stored: Any, path: str) -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(stored, dict):
        for key, value in expected.items():
            yield from _find_losses(value, stored.get(key), f"{path}/{key}")
    elif isinstance(expected, list) and isinstance(stored, list) and len(expected) <= len(stored):
        for index, value in enumerate(expected):
            yield from _find_losses(value, stored[index], f"{path}/{index}")
    elif expected != stored and expected not in (None, [], {}) and (expected or stored):
        yield f"{path}: {expected!r} was expected, {stored!r} is stored"


def set_redirect_state(api: ApiServer, namespace: str, state: Mapping[str, Any] = LOADED, *, pod: str = "app") -> None:
    """Write the state of podrole-redirect, as the kubelet does."""
    status = {"name": "podrole-redirect", "state": state, "ready": True, "restartCount": 0, "image": "", "imageID": ""}
    api.patch(("Pod", f"{pod}/status"), {"status": {"initContainerStatuses": [status]}}, namespace)
