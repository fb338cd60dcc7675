"""Who changed podrole's containers in a pod: another webhook, somebody after its creation, or podrole's settings."""

import shlex
from collections.abc import Iterator, Mapping, Sequence

import contract
from injector.k8s.objects import Object, parse_metadata, read_mapping, read_objects
from podrole.diagnosis.pods.expected_state import RunningPod, list_drift
from podrole.diagnosis.pods.findings import Change
from podrole.diagnosis.state.check_context import join_names
from podrole.diagnosis.state.cluster import DryRunResult
from podrole.diagnosis.state.selectors import find_mismatch
from podrole.diagnosis.state.webhooks import Webhook, list_pod_webhooks
from podrole.findings import Finding

CONTAINERS = (contract.REDIRECT_CONTAINER, contract.SIDECAR_CONTAINER)


def explain_changes(running: RunningPod, dry_run: DryRunResult, configurations: Sequence[Object]) -> Iterator[Finding]:
    """Compare a dry run of the pod's creation with podrole's own answer. `configurations`: all mutating webhooks."""
    if dry_run.pod is None:
        yield Change.DRY_RUN_NOT_POSSIBLE.format(message=dry_run.message)
        return
    new = running._replace(pod=dry_run.pod)
    if clauses := list_drift(new):
        namespace = running.cluster_context.namespace
        labels = namespace.labels if namespace else {}
        yield _name_webhook(clauses[0], _find_candidates(dry_run.pod, labels, configurations))
        return
    yield from _find_managers(running.pod) or (Change.OLDER_THAN_SETTINGS.format(),)


def _name_webhook(clause: str, candidates: Sequence[Webhook]) -> Finding:
    names = [f"{one.name} ({one.configuration_name})" for one in candidates]
    if len(names) == 1:
        return Change.CHANGED_BY_WEBHOOK.format(name=names[0], clause=clause)
    if names:
        return Change.CHANGED_BY_ONE_OF.format(names=join_names(names), clause=clause)
    return Change.CHANGED_BY_NO_WEBHOOK.format(clause=clause)


def _find_candidates(pod: Object, labels: Mapping[str, str], configurations: Sequence[Object]) -> Sequence[Webhook]:
    """The webhooks that have the last word about podrole's containers; all others for this pod if there is none.

    A webhook with reinvocationPolicy IfNeeded is called a second time after others changed the pod, in the same order:
    https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#reinvocation-policy
    """
    called = [one for one in list_pod_webhooks(configurations) if one.is_podrole or _is_called(one, pod, labels)]
    own = next((index for index, one in enumerate(called) if one.is_podrole), None)
    others = [one for one in called if not one.is_podrole]
    if own is None:
        return others
    is_own_repeated = called[own].reinvocation_policy == "IfNeeded"
    last = [
        one
        for index, one in enumerate(called)
        if not one.is_podrole and _can_be_last(index > own, one.reinvocation_policy == "IfNeeded", is_own_repeated)
    ]
    return last or others


def _can_be_last(is_after: bool, is_repeated: bool, is_own_repeated: bool) -> bool:  # noqa: FBT001 - a truth table
    return (is_after and is_repeated) if is_own_repeated else (is_after or is_repeated)


def _is_called(webhook: Webhook, pod: Object, labels: Mapping[str, str]) -> bool:
    """Whether its selectors match. Its matchConditions can only be evaluated by the API server."""
    is_in_namespace = find_mismatch(webhook.namespace_selector, labels) is None
    return is_in_namespace and find_mismatch(webhook.object_selector, parse_metadata(pod).labels) is None


def _find_managers(pod: Object) -> list[Finding]:
    """Field managers that updated a container of podrole.

    https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
    """
    metadata = read_mapping(pod, "metadata")
    names = {key: shlex.quote(str(metadata.get(key))) for key in ("namespace", "name")}
    created = metadata.get("creationTimestamp")
    return [
        Change.CHANGED_LATER.format(manager=entry.get("manager"), container=container, time=entry.get("time"), **names)
        for entry in read_objects(metadata, "managedFields")
        if entry.get("time") != created and not entry.get("subresource")
        for container in CONTAINERS
        if f'k:{{"name":"{container}"}}' in _read_init_containers(entry)
    ]


def _read_init_containers(entry: Object) -> Object:
    return read_mapping(read_mapping(read_mapping(entry, "fieldsV1"), "f:spec"), "f:initContainers")
