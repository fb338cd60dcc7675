"""Pods to create, and what a created one has in it."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from tests.integration.api_server.api import ApiServer

Pod = dict[str, Any]

ROLE = {"iam.amazonaws.com/role": "reader"}
READER = "arn:aws:iam::111122223333:role/reader"
OURS = ["podrole-redirect", "podrole-sidecar"]
APP = {"name": "app", "image": "example/app:1"}
TOKEN_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"


def build_pod(annotations: Mapping[str, str] = ROLE, *, name: str = "app", **spec: Any) -> Pod:
    """A pod with one container, a role, and whatever its spec needs to have."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": dict(annotations)},
        "spec": {"containers": [dict(APP)], **spec},
    }


def store(api: ApiServer, pod: Pod, namespace: str, *, dry_run: bool = False) -> Pod:
    """Create a pod; give it as the server stored it, or with dry run would have."""
    created = api.create(pod, namespace, dry_run=dry_run).object
    return created if dry_run else api.read("Pod", created["metadata"]["name"], namespace)


def renew(pod: Pod, name: str = "again") -> Pod:
    """A stored pod as somebody would create it once more: without what only a server writes."""
    metadata = {key: pod["metadata"][key] for key in ("labels", "annotations") if key in pod["metadata"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **metadata},
        "spec": copy.deepcopy(pod["spec"]),
    }


def names_of(pod: Pod, field: str) -> list[str]:
    """The containers' names in one field of the spec, in order."""
    return [container["name"] for container in pod["spec"].get(field) or []]


def mounts_of(container: Mapping[str, Any]) -> dict[str, str]:
    """Mount path to volume."""
    return {mount["mountPath"]: mount["name"] for mount in container.get("volumeMounts") or []}


def find_losses(meant: Pod, stored: Pod) -> Iterator[str]:
    """What was meant and is not stored. The server may add what nobody wrote, and leave out what says nothing."""
    # The volume of the API token stands in front of ours.
    volumes = [
        volume for volume in stored["spec"].get("volumes", []) if not volume["name"].startswith("kube-api-access-")
    ]
    yield from _find_losses(meant, {**stored, "spec": {**stored["spec"], "volumes": volumes}}, "")


def _find_losses(meant: Any, stored: Any, path: str) -> Iterator[str]:
    if isinstance(meant, dict) and isinstance(stored, dict):
        for key, value in meant.items():
            yield from _find_losses(value, stored.get(key), f"{path}/{key}")
    elif isinstance(meant, list) and isinstance(stored, list) and len(meant) <= len(stored):
        for index, value in enumerate(meant):
            yield from _find_losses(value, stored[index], f"{path}/{index}")
    elif meant != stored and meant not in (None, [], {}) and (meant or stored):
        yield f"{path}: {meant!r} was meant, {stored!r} is stored"
