"""Whether a pod was injected, and if not, which selector, age or rule kept the webhook from it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import contract
from injector.decision.annotations import MIRROR_ANNOTATION, STATUS_ANNOTATION
from injector.k8s.objects import Object, parse_metadata, read_mapping, read_objects, read_spec
from injector.labels import INJECTION_ENABLED, INJECTION_LABEL
from injector.reasons import Reason
from podrole.diagnosis.pod_findings import Injection
from podrole.diagnosis.selectors import find_mismatch
from podrole.diagnosis.webhooks import Webhook, is_for_pods
from podrole.findings import Finding, Level

SOURCES = (Reason.ROLE_FROM_POD, Reason.ROLE_FROM_SERVICE_ACCOUNT, Reason.ROLE_FROM_NAMESPACE)
"""The reasons of an injection, which need no values. Another one in an annotation was written by somebody else."""


@dataclass(frozen=True, slots=True)
class PodCreation:
    """A pod and what decided, when it was created, whether the webhook was asked about it."""

    pod: Object
    namespace: Object | None
    webhooks: tuple[Webhook, ...] | None
    """Ours; as the namespace None where they could not be read."""

    unread: Mapping[str, str]
    """Why not, by `namespace` and `webhooks`."""

    unreachable: Reason | None = None
    """Why no rules can be put around this pod, where that is so."""


def is_injected(pod: Object) -> bool:
    """Whether it has one of our containers. The annotation proves nothing: anybody can write it."""
    ours = {contract.REDIRECT_CONTAINER, contract.SIDECAR_CONTAINER}
    return any(container.get("name") in ours for container in read_objects(read_spec(pod), "initContainers"))


def read_role(pod: Object) -> str | None:
    """The role that the pod's sidecar was given; None where it has no sidecar, as it has in block mode."""
    container = find_container(pod, contract.SIDECAR_CONTAINER)
    variables = {one.get("name"): one.get("value") for one in read_objects(container or {}, "env")}
    role = variables.get(contract.ENV_ROLE_ARN)
    return None if role is None else str(role).replace("$$", "$")


def read_mode(pod: Object) -> str:
    """The mode that an injected pod is in, as its containers tell."""
    if find_container(pod, contract.SIDECAR_CONTAINER) is None:
        return contract.MODE_BLOCK
    has_rules = find_container(pod, contract.REDIRECT_CONTAINER) is not None
    return contract.MODE_REDIRECT if has_rules else contract.MODE_ENV


def find_container(pod: Object, name: str) -> Object | None:
    """One of our containers."""
    return next((one for one in read_objects(read_spec(pod), "initContainers") if one.get("name") == name), None)


def find_injection(creation: PodCreation) -> Iterator[Finding]:
    """Say whether the pod was injected, and if not why."""
    status = _read_status(creation.pod)
    if is_injected(creation.pod):
        yield from _tell_injection(creation.pod, status)
        return
    if MIRROR_ANNOTATION in parse_metadata(creation.pod).annotations:
        yield Injection.MIRROR_POD.format()
        return
    if STATUS_ANNOTATION in parse_metadata(creation.pod).annotations:
        yield Injection.FORGED_STATUS.format()
    yield Injection.NOT_INJECTED.format()
    yield from _find_obstacles(creation)


def build_recreation(pod: Object) -> str:
    """The command after which a pod like this one is created anew."""
    metadata = read_mapping(pod, "metadata")
    namespace, name = metadata.get("namespace"), metadata.get("name")
    owner = next((one for one in read_objects(metadata, "ownerReferences") if one.get("controller")), None)
    if owner is None:
        return f"kubectl -n {namespace} delete pod {name}   # then create it again"
    kind, owned_by = str(owner.get("kind")), str(owner.get("name"))
    # A Deployment's ReplicaSet is named after it and the hash of its template.
    template = str(read_mapping(metadata, "labels").get("pod-template-hash") or "")
    if kind == "ReplicaSet" and template and owned_by.endswith(f"-{template}"):
        kind, owned_by = "Deployment", owned_by.removesuffix(f"-{template}")
    if kind in {"Deployment", "StatefulSet", "DaemonSet"}:
        return f"kubectl -n {namespace} rollout restart {kind.lower()}/{owned_by}"
    return f"kubectl -n {namespace} delete pod {name}   # its {kind} {owned_by} creates another if it is not done"


def _read_status(pod: Object) -> Mapping[str, Any]:
    try:
        status = json.loads(parse_metadata(pod).annotations.get(STATUS_ANNOTATION, "{}"))
    except ValueError:
        return {}
    return status if isinstance(status, dict) else {}


def _tell_injection(pod: Object, status: Mapping[str, Any]) -> Iterator[Finding]:
    role = read_role(pod)
    reason = next((one for one in SOURCES if one.code == status.get("reason")), None)
    if role is None:
        yield Injection.BLOCKED.format()
    else:
        sentence = f" {reason.explain().text}" if reason else ""
        yield Injection.INJECTED.format(mode=read_mode(pod), role=role, reason=sentence)
    version = status.get("version")
    if version is not None and version != contract.VERSION:
        yield Injection.OTHER_VERSION.format(version=version, own=contract.VERSION)


def _find_obstacles(creation: PodCreation) -> Iterator[Finding]:
    recreate = build_recreation(creation.pod)
    found = [*_find_by_namespace(creation, recreate), *_find_by_webhooks(creation, recreate)]
    if creation.unreachable is not None:
        found.append(Injection.NO_NETWORK.format(why=creation.unreachable.explain().text))
    yield from found
    if all(finding.level == Level.NOTE for finding in found):
        created = _read_created(creation.pod)
        is_lenient = any(webhook.failure_policy == "Ignore" for webhook in creation.webhooks or ())
        ignored = ", or the webhook could not be reached then (its failurePolicy is Ignore)" if is_lenient else ""
        yield Injection.LABELLED_LATER.format(created=created, ignored=ignored, recreate=recreate)


def _find_by_namespace(creation: PodCreation, recreate: str) -> Iterator[Finding]:
    if creation.namespace is None:
        yield Injection.NAMESPACE_UNREAD.format(problem=creation.unread.get("namespace"))
        return
    value = parse_metadata(creation.namespace).labels.get(INJECTION_LABEL)
    if value != INJECTION_ENABLED:
        name = read_mapping(creation.namespace, "metadata").get("name")
        instead = "" if value is None else f' and has "{value}" instead'
        yield Injection.NOT_LABELLED.format(namespace=name, instead=instead, recreate=recreate)


def _find_by_webhooks(creation: PodCreation, recreate: str) -> Iterator[Finding]:
    if creation.webhooks is None:
        yield Injection.WEBHOOKS_UNREAD.format(problem=creation.unread.get("webhooks"))
    elif not creation.webhooks:
        yield Injection.NO_WEBHOOK.format(recreate=recreate)
    else:
        told = [[*_find_by_webhook(creation, webhook, recreate)] for webhook in creation.webhooks]
        # One that asks is enough: what another one leaves out is then no reason.
        if all(any(finding.level != Level.NOTE for finding in findings) for findings in told):
            yield from (finding for findings in told for finding in findings)
        else:
            yield from (finding for findings in told for finding in findings if finding.level == Level.NOTE)


def _find_by_webhook(creation: PodCreation, webhook: Webhook, recreate: str) -> Iterator[Finding]:
    where = {"configuration": webhook.configuration_name, "recreate": recreate}
    if not is_for_pods(webhook):
        yield Injection.NOT_ASKED_ABOUT_PODS.format(**where)
    if creation.namespace is not None:
        name = read_mapping(creation.namespace, "metadata").get("name")
        requirement = find_mismatch(webhook.namespace_selector, parse_metadata(creation.namespace).labels)
        # That the label is missing has been said already.
        if requirement and not requirement.startswith(f"{INJECTION_LABEL} "):
            yield Injection.NAMESPACE_EXCLUDED.format(**where, namespace=name, requirement=requirement)
    if requirement := find_mismatch(webhook.object_selector, parse_metadata(creation.pod).labels):
        yield Injection.POD_EXCLUDED.format(**where, requirement=requirement)
    for condition in webhook.match_conditions:
        if MIRROR_ANNOTATION in str(condition.get("expression")):
            continue  # podrole's own, which only mirror pods do not meet
        yield Injection.CONDITION.format(**where, name=condition.get("name"), expression=condition.get("expression"))
    created, since = _read_created(creation.pod), _read_created(webhook.configuration)
    if created and since and created < since:
        yield Injection.OLDER_THAN_WEBHOOK.format(**where, created=created, since=since)


def _read_created(thing: Object) -> str:
    """RFC 3339 in UTC without fractions, as the API server writes all times: to be compared as text."""
    return str(read_mapping(thing, "metadata").get("creationTimestamp") or "")
