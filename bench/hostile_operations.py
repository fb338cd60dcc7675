"""What a hostile tenant does, at random: objects of every kind that costs the webhook much, and direct requests."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from bench.hostile_actor import Answer, HostileTenant, Weighted
from testing.admission import build_review
from testing.cluster.pods import APP, build_pod
from testing.hostile.objects import (
    annotated,
    build_account,
    build_allow_lists,
    build_reserved,
    number_keys,
    repeat,
    with_container,
    with_metadata,
)
from testing.hostile.reviews import post

SENT, STORED, MANY = 1_200_000, 250_000, 2000
"""Bytes of an annotation that is only sent, and of one that is stored; entries of a list.

With more entries the API server itself is what is slow, also for others.
"""

KEYS = (
    "podrole.io/session-tags",
    "podrole.io/session-duration",
    "podrole.io/mode",
    "podrole.io/status",
    "podrole.io/session-tagz",
    "iam.amazonaws.com/role",
    "iam.amazonaws.com/session-name",
    "iam.amazonaws.com/external-id",
    "example.com/notes",
)
ACCOUNT_KEYS = ("iam.amazonaws.com/role", "eks.amazonaws.com/role-arn", "podrole.io/other", "example.com/notes")
SIDECAR_USER = 16925


def send_annotation(tenant: HostileTenant) -> None:
    """In a dry run: the API server checks sizes after the webhook."""
    pod = annotated(**{tenant.random.choice(KEYS): tenant.text(SENT)})
    tenant.user.api.create(pod, tenant.user.namespace, dry_run=True)


def send_wide_pod(tenant: HostileTenant) -> None:
    """In a dry run: many entries of one list or map."""
    build = tenant.random.choice(WIDE)
    tenant.user.api.create(build(tenant.size(MANY)), tenant.user.namespace, dry_run=True)


WIDE: tuple[Callable[[int], dict[str, Any]], ...] = (
    lambda count: build_pod(containers=repeat(count, build_reserved)),
    lambda count: build_pod(containers=repeat(count, lambda number: {**APP, "name": f"a{number}"})),
    lambda count: build_pod(volumes=repeat(count, lambda number: {"name": f"podrole-{number}", "emptyDir": {}})),
    lambda count: with_container(env=repeat(count, lambda number: {"name": f"a{number}"})),
    lambda count: with_container(volumeMounts=repeat(count, lambda n: {"name": f"podrole-{n}", "mountPath": f"/{n}"})),
    lambda count: with_metadata(labels=number_keys(count, "podrole.io/a")),
    lambda count: annotated(**number_keys(count, "podrole.io/a")),
    lambda count: with_metadata(name="a" * 100 * count),
)


def create_pod(tenant: HostileTenant) -> None:
    """A pod that is stored, with an annotation as large as the API server allows."""
    name = f"stored-{tenant.number()}"
    pod = annotated(**{tenant.random.choice(KEYS): tenant.text(STORED)})
    pod["metadata"]["name"] = name
    tenant.user.api.create(pod, tenant.user.namespace)
    tenant.remember(tenant.pods, "Pod", name)


def create_gated_pod(tenant: HostileTenant) -> None:
    """A pod that cannot start yet, whose redirect image is then replaced, and whose gate is removed."""
    name = f"gated-{tenant.number()}"
    tenant.user.api.create(build_pod(name=name, schedulingGates=[{"name": "example.com/gate"}]), tenant.user.namespace)
    tenant.remember(tenant.pods, "Pod", name)
    images = {"spec": {"initContainers": [{"name": "podrole-redirect", "image": "example/nothing:1"}]}}
    strategic = "application/strategic-merge-patch+json"
    tenant.user.api.patch(("Pod", name), images, tenant.user.namespace, how=strategic)
    tenant.user.api.patch(("Pod", name), {"spec": {"schedulingGates": None}}, tenant.user.namespace)


def patch_pod(tenant: HostileTenant) -> None:
    """Replace the record that podrole wrote, or a label."""
    name = tenant.random.choice(tenant.pods or ["none"])
    metadata = {"annotations": {"podrole.io/status": tenant.text(STORED)}, "labels": {"podrole.io/mode": "env"}}
    tenant.user.api.patch(("Pod", name), {"metadata": metadata}, tenant.user.namespace)


def add_ephemeral_container(tenant: HostileTenant) -> None:
    """A container with the sidecar's user and its token."""
    name = tenant.random.choice(tenant.pods or ["none"])
    container = {
        "name": f"debug-{tenant.number()}",
        "image": "example/debug:1",
        "securityContext": {"runAsUser": SIDECAR_USER},
        "volumeMounts": [{"name": "podrole-token", "mountPath": "/token"}],
    }
    target = "Pod", f"{name}/ephemeralcontainers"
    change = {"spec": {"ephemeralContainers": [container]}}
    tenant.user.api.patch(target, change, tenant.user.namespace, how="application/strategic-merge-patch+json")


def delete_pod(tenant: HostileTenant) -> None:
    """One of its pods."""
    name = tenant.pods.pop(0) if tenant.pods else "none"
    tenant.user.api.delete("Pod", name, tenant.user.namespace)


def create_account(tenant: HostileTenant) -> None:
    """A ServiceAccount with a large annotation, and a pod that uses it."""
    name = f"account-{tenant.number()}"
    annotations = {tenant.random.choice(ACCOUNT_KEYS): tenant.text(STORED)}
    tenant.user.api.create(build_account(name, annotations=annotations), tenant.user.namespace)
    tenant.remember(tenant.accounts, "ServiceAccount", name)
    tenant.user.api.create(build_pod(serviceAccountName=name), tenant.user.namespace, dry_run=True)


def patch_account(tenant: HostileTenant) -> None:
    """Another large annotation: an event for every replica."""
    name = tenant.random.choice(tenant.accounts or ["none"])
    annotations = {tenant.random.choice(ACCOUNT_KEYS): tenant.text(STORED)}
    tenant.user.api.patch(("ServiceAccount", name), {"metadata": {"annotations": annotations}}, tenant.user.namespace)


def annotate_namespace(tenant: HostileTenant) -> None:
    """An allow-list that is expensive to compile, a pod that it is compiled for, and no list again."""
    none: dict[str, str | None] = dict.fromkeys(("iam.amazonaws.com/allowed-roles", "iam.amazonaws.com/permitted"))
    chosen = tenant.random.choice([*build_allow_lists(tenant.number()).values()])
    target = "Namespace", tenant.user.namespace
    tenant.user.api.patch(target, {"metadata": {"annotations": {**none, **chosen}}})
    try:
        tenant.user.api.create(build_pod(), tenant.user.namespace, dry_run=True)
    finally:
        tenant.user.api.patch(target, {"metadata": {"annotations": none}})


def label_namespace(tenant: HostileTenant) -> None:
    """Turn injection off, and on again."""
    for value in (None, "enabled"):
        labels = {"labels": {"podrole.io/injection": value}}
        tenant.user.api.patch(("Namespace", tenant.user.namespace), {"metadata": labels})


def send_review(tenant: HostileTenant) -> Answer:
    """Send a review directly: an unknown namespace or account, a long name, or something else."""
    pod = build_pod(serviceAccountName=f"none-{tenant.number()}")
    body = build_review({**pod, "metadata": {**pod["metadata"], "namespace": tenant.user.namespace}})
    kind = tenant.random.choice(("namespace", "account", "name", "garbage"))
    if kind == "namespace":
        body["request"]["namespace"] = f"none-{tenant.number()}"
    elif kind == "name":
        body["request"]["object"]["metadata"]["name"] = tenant.text(7_000_000)
    sent = tenant.text(7_000_000) if kind == "garbage" else json.dumps(body)
    status, _ = post(tenant.port, sent.encode())
    return f"HTTP {status}" if status else "connection closed"


OPERATIONS: Mapping[str, Weighted] = {
    "sends a pod with a long annotation": (4, send_annotation),
    "sends a wide pod": (3, send_wide_pod),
    "creates a pod": (3, create_pod),
    "replaces an image of a gated pod": (1, create_gated_pod),
    "patches a pod": (2, patch_pod),
    "adds an ephemeral container": (1, add_ephemeral_container),
    "deletes a pod": (1, delete_pod),
    "creates a ServiceAccount": (2, create_account),
    "patches a ServiceAccount": (4, patch_account),
    "annotates its namespace": (3, annotate_namespace),
    "labels its namespace": (1, label_namespace),
    "sends a review to the port": (5, send_review),
}
