"""The findings about workloads of namespaces without podrole's label: whether anything gives them the role they set."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from injector.decision.unknown_annotations import is_left_out
from injector.errors import ObjectError
from injector.k8s.objects import (
    EMPTY_METADATA,
    Object,
    parse_metadata,
    read_app_containers,
    read_objects,
    read_service_account_name,
    read_spec,
)
from injector.metadata_keys import INJECT_LABEL, IRSA_ROLE, ROLE
from podrole.diagnosis.agents.flags import DEFAULT_ROLE
from podrole.diagnosis.agents.recognition import CREDENTIAL_VARIABLES, find_agents
from podrole.diagnosis.overview.state import EstateState
from podrole.diagnosis.state.check_context import join_names
from podrole.diagnosis.state.webhooks import has_irsa
from podrole.diagnosis.state.workload import WorkloadState
from podrole.diagnosis.workloads.findings import Overview
from podrole.findings import Finding


class Providers(NamedTuple):
    """What gives credentials to pods that podrole leaves alone."""

    has_agent: bool
    """kube2iam or Kiam."""

    has_default_role: bool
    """Whether the agent has one for pods that name none; the node's does not count, as it is never the one they set."""

    has_irsa: bool


def report_unlabelled(given: EstateState, skipped: Sequence[WorkloadState]) -> Iterator[Finding]:
    """Report the workloads for which the webhook is not called."""
    if not skipped:
        return
    with_role = [state for state in skipped if _sets_role(state, given)]
    namespaces = sorted({state.namespace for state in skipped})
    values = {"workloads": len(skipped), "roles": _count_roles(given, with_role)}
    if given.namespace:
        is_meant = is_left_out(given.estate.namespaces.get(given.namespace, EMPTY_METADATA))
        template = Overview.NAMESPACE_LEFT_OUT if is_meant else Overview.NAMESPACE_NOT_LABELLED
        yield template.format(namespace=given.namespace, **values)
    else:
        yield Overview.NAMESPACES_NOT_LABELLED.format(
            count=len(namespaces), namespaces=join_names(namespaces), **values
        )
    meant, providers = [state for state in with_role if not _is_left_out(state, given)], _find_providers(given)
    if names := [_format_name(state) for state in meant if not _has_role(state, given, providers)]:
        errors = [one.error for one in (given.daemon_sets, given.installation.webhooks) if one.error]
        template = Overview.ROLE_NOT_KNOWN if errors else Overview.ROLE_NOT_GIVEN
        yield template.format(names=join_names(names), problem="; ".join(errors))


def _format_name(state: WorkloadState) -> str:
    return f"{state.namespace}/{state.target}"


def _count_roles(given: EstateState, with_role: Sequence[WorkloadState]) -> str:
    if given.settings.effective_config is None or given.unread_context:
        return "Which of them set a role is not known."
    return f"{len(with_role)} of them {'sets' if len(with_role) == 1 else 'set'} a role."


def _sets_role(state: WorkloadState, given: EstateState) -> bool:
    """Whether a pod of it would get a role, or be denied, in a namespace with the label."""
    decided = given.build_input(state.namespace)
    if decided is None:
        return False
    try:
        return any(map(decided.would_have_role, _list_pods(state)))
    except ObjectError:  # a custom kind can have any fields
        return False


def _find_providers(given: EstateState) -> Providers:
    """Find what else gives roles, as far as it could be read."""
    agents = [*find_agents("DaemonSet", given.daemon_sets.value, ())]
    has_default = any(agent.may_have(DEFAULT_ROLE) for agent in agents)
    return Providers(bool(agents), has_default, has_irsa(given.installation.webhooks.value))


def _is_left_out(state: WorkloadState, given: EstateState) -> bool:
    """Whether somebody decided that podrole leaves its pods alone."""
    if is_left_out(given.estate.namespaces.get(state.namespace, EMPTY_METADATA)):
        return True
    return all(parse_metadata(pod).labels.get(INJECT_LABEL) == "false" for pod in _list_pods(state))


def _has_role(state: WorkloadState, given: EstateState, providers: Providers) -> bool:
    """Whether something else than podrole gives credentials to its pods."""
    return all(_is_provided(pod, given, state.namespace, providers) for pod in _list_pods(state))


def _is_provided(pod: Object, given: EstateState, namespace: str, providers: Providers) -> bool:
    variables = {one.get("name") for container in read_app_containers(pod) for one in read_objects(container, "env")}
    account = given.estate.accounts.get((namespace, read_service_account_name(pod)), EMPTY_METADATA)
    if variables & CREDENTIAL_VARIABLES or (providers.has_irsa and account.annotations.get(IRSA_ROLE)):
        return True
    names_role = ROLE in parse_metadata(pod).annotations
    return providers.has_agent and not read_spec(pod).get("hostNetwork") and (names_role or providers.has_default_role)


def _list_pods(state: WorkloadState) -> Sequence[Object]:
    """Its pods: those that run have what other webhooks added. Without any, its templates."""
    return state.pods[:1] or state.templates
