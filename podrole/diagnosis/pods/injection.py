"""Whether a pod was injected, and if not, which selector, creation time or rule prevented it."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import contract
from contract.modes import Mode
from injector.decision.unknown_annotations import find_injection_label
from injector.k8s.objects import Object, parse_metadata, parse_object, read_mapping, read_objects, read_spec
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL, MIRROR_ANNOTATION, STATUS_ANNOTATION
from injector.reasons import Reason
from podrole.diagnosis.pods.findings import Injection
from podrole.diagnosis.pods.order import read_created
from podrole.diagnosis.state.cluster import OptionalObject, ReadResult
from podrole.diagnosis.state.selectors import find_mismatch
from podrole.diagnosis.state.webhooks import Webhook, is_for_pods
from podrole.findings import Finding, Level

INJECT_REASONS = (Reason.ROLE_FROM_POD, Reason.ROLE_FROM_SERVICE_ACCOUNT, Reason.ROLE_FROM_NAMESPACE)
"""The reasons of an injection. Any other reason in the status annotation was not written by podrole."""


@dataclass(frozen=True, slots=True)
class PodCreation:
    """A pod, and what determines whether the API server called the webhook when it was created."""

    pod: Object
    namespace: OptionalObject
    webhooks: ReadResult[tuple[Webhook, ...]]
    """podrole's webhooks."""

    unsupported: Reason | None = None
    """Why this pod cannot be injected: for example hostNetwork."""


def is_injected(pod: Object) -> bool:
    """Return whether the pod has a podrole container. The status annotation is no proof: any user can write it."""
    names = {contract.REDIRECT_CONTAINER, contract.SIDECAR_CONTAINER}
    return any(container.get("name") in names for container in read_objects(read_spec(pod), "initContainers"))


def read_role(pod: Object) -> str | None:
    """Read the role from the sidecar's environment; None without a sidecar, as in block mode."""
    container = find_container(pod, contract.SIDECAR_CONTAINER)
    variables = {one.get("name"): one.get("value") for one in read_objects(container or {}, "env")}
    role = variables.get(contract.ENV_ROLE_ARN)
    return None if role is None else str(role).replace("$$", "$")


def read_mode(pod: Object) -> str:
    """Derive the mode of an injected pod from its containers."""
    if find_container(pod, contract.SIDECAR_CONTAINER) is None:
        return Mode.BLOCK
    has_rules = find_container(pod, contract.REDIRECT_CONTAINER) is not None
    return Mode.REDIRECT if has_rules else Mode.ENV


def find_container(pod: Object, name: str) -> Object | None:
    """Find an init container by its name."""
    return next((one for one in read_objects(read_spec(pod), "initContainers") if one.get("name") == name), None)


def explain_injection(creation: PodCreation) -> Iterator[Finding]:
    """Report whether the pod was injected, and if not, why."""
    status = _read_status(creation.pod)
    if is_injected(creation.pod):
        yield from _report_injection(creation.pod, status)
        return
    if MIRROR_ANNOTATION in parse_metadata(creation.pod).annotations:
        yield Injection.MIRROR_POD.format()
        return
    if STATUS_ANNOTATION in parse_metadata(creation.pod).annotations:
        yield Injection.STATUS_WITHOUT_CONTAINERS.format()
    yield Injection.NOT_INJECTED.format()
    yield from _find_reasons(creation)


def build_recreate_command(pod: Object) -> str:
    """Build the command that replaces the pod: a rollout restart, or a deletion.

    Its parts are quoted for a shell: the API server accepts any text as an owner's name.
    """
    metadata = read_mapping(pod, "metadata")
    namespace, name = (shlex.quote(str(metadata.get(key))) for key in ("namespace", "name"))
    owner = find_controller(pod)
    if owner is None:
        return f"kubectl -n {namespace} delete pod {name}   # then create it again"
    kind, owned_by = _name_owner(pod, owner)
    # kubectl would look for a kind of another group, such as OpenKruise's StatefulSet, among those of apps.
    is_built_in = str(owner.get("apiVersion") or "apps/").startswith("apps/")
    if is_built_in and kind in {"Deployment", "StatefulSet", "DaemonSet"}:
        return f"kubectl -n {namespace} rollout restart {shlex.quote(f'{kind.lower()}/{owned_by}')}"
    owner_name = f"{shlex.quote(kind)} {shlex.quote(owned_by)}"
    return f"kubectl -n {namespace} delete pod {name}   # its {owner_name} creates a new one unless it is complete"


def read_owner_kind(pod: Object) -> str:
    """The kind of workload that a user wrote for a pod that has a controller: a Deployment, not its ReplicaSet."""
    return _name_owner(pod, find_controller(pod) or {})[0]


def find_workload(pod: Object) -> tuple[str, str] | None:
    """Kind and name of the workload of a pod; its controller's where that is not known to have one; None without."""
    owner = find_controller(pod)
    if owner is None:
        return None
    labels = read_mapping(read_mapping(pod, "metadata"), "labels")
    rollout_hash = str(labels.get("rollouts-pod-template-hash") or "")
    name = str(owner.get("name"))
    if rollout_hash and name.endswith(f"-{rollout_hash}"):
        return "Rollout", name.removesuffix(f"-{rollout_hash}")
    return _name_owner(pod, owner)


def find_controller(pod: Object) -> Object | None:
    """The reference to its controller."""
    references = read_objects(read_mapping(pod, "metadata"), "ownerReferences")
    return next((one for one in references if one.get("controller")), None)


def _name_owner(pod: Object, owner: Object) -> tuple[str, str]:
    """Kind and name. A Deployment's ReplicaSet is named after it and the hash of its template."""
    kind, name = str(owner.get("kind")), str(owner.get("name"))
    template = str(read_mapping(read_mapping(pod, "metadata"), "labels").get("pod-template-hash") or "")
    if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
        return "Deployment", name.removesuffix(f"-{template}")
    return kind, name


def _read_status(pod: Object) -> Mapping[str, Any]:
    return parse_object(parse_metadata(pod).annotations.get(STATUS_ANNOTATION)) or {}


def _report_injection(pod: Object, status: Mapping[str, Any]) -> Iterator[Finding]:
    role = read_role(pod)
    reason = next((one for one in INJECT_REASONS if one.code == status.get("reason")), None)
    if role is None:
        yield Injection.BLOCKED.format()
    else:
        sentence = f" {reason.explain().text}" if reason else ""
        yield Injection.INJECTED.format(mode=read_mode(pod), role=role, reason=sentence)
    version = status.get("version")
    if version is not None and version != contract.VERSION:
        yield Injection.VERSION_DIFFERS.format(version=version, own=contract.VERSION)


def _find_reasons(creation: PodCreation) -> Iterator[Finding]:
    recreate = build_recreate_command(creation.pod)
    found = [*_check_namespace(creation, recreate), *_check_webhooks(creation, recreate)]
    if creation.unsupported is not None:
        found.append(Injection.UNSUPPORTED_POD.format(why=creation.unsupported.explain().text))
    yield from found
    if all(finding.level == Level.NOTE for finding in found):
        created = read_created(creation.pod)
        is_ignore = any(webhook.failure_policy == "Ignore" for webhook in creation.webhooks.value)
        ignored = ", or the webhook was unreachable then (its failurePolicy is Ignore)" if is_ignore else ""
        yield Injection.CREATED_BEFORE_LABEL.format(created=created, ignored=ignored, recreate=recreate)


def _check_namespace(creation: PodCreation, recreate: str) -> Iterator[Finding]:
    namespace = creation.namespace.value
    if namespace is None:
        problem = creation.namespace.error or "it does not exist"
        yield Injection.NAMESPACE_READ_FAILED.format(problem=problem)
        return
    value = parse_metadata(namespace).labels.get(INJECTION_LABEL)
    if value != INJECTION_ENABLED:
        name = read_mapping(namespace, "metadata").get("name")
        instead = "" if value is None else f', but "{value}"'
        if value is None and (found := find_injection_label(parse_metadata(namespace))):
            instead = f", but {found}"
        yield Injection.NAMESPACE_NOT_LABELLED.format(namespace=name, instead=instead, recreate=recreate)


def _check_webhooks(creation: PodCreation, recreate: str) -> Iterator[Finding]:
    if creation.webhooks.error:
        yield Injection.WEBHOOKS_READ_FAILED.format(problem=creation.webhooks.error)
    elif not creation.webhooks.value:
        yield Injection.WEBHOOK_NOT_REGISTERED.format(recreate=recreate)
    else:
        by_webhook = [[*_check_webhook(creation, webhook, recreate)] for webhook in creation.webhooks.value]
        # One webhook that is called is enough: what another one excludes is then not the reason.
        is_excluded = all(any(finding.level != Level.NOTE for finding in findings) for findings in by_webhook)
        for findings in by_webhook:
            yield from (finding for finding in findings if is_excluded or finding.level == Level.NOTE)


def _check_webhook(creation: PodCreation, webhook: Webhook, recreate: str) -> Iterator[Finding]:
    where = {"configuration": webhook.configuration_name, "recreate": recreate}
    if not is_for_pods(webhook):
        yield Injection.POD_CREATION_NOT_COVERED.format(**where)
    if (namespace := creation.namespace.value) is not None:
        name = read_mapping(namespace, "metadata").get("name")
        requirement = find_mismatch(webhook.namespace_selector, parse_metadata(namespace).labels)
        # The missing label is reported by _check_namespace.
        if requirement and not requirement.startswith(f"{INJECTION_LABEL} "):
            yield Injection.NAMESPACE_EXCLUDED.format(**where, namespace=name, requirement=requirement)
    if requirement := find_mismatch(webhook.object_selector, parse_metadata(creation.pod).labels):
        yield Injection.POD_EXCLUDED.format(**where, requirement=requirement)
    for condition in webhook.match_conditions:
        name, expression = condition.get("name"), condition.get("expression")
        if MIRROR_ANNOTATION in str(expression):
            continue  # podrole's own condition, which is false only for mirror pods
        yield Injection.MATCH_CONDITION.format(**where, name=name, expression=expression)
    created, since = read_created(creation.pod), read_created(webhook.configuration)
    if created and since and created < since:
        yield Injection.CREATED_BEFORE_WEBHOOK.format(**where, created=created, since=since)
