"""What an operator must know about one workload before its pods are restarted."""

import shlex
from collections.abc import Iterator
from typing import Any

from injector.decision.outcomes import Block, Deny, Inject, Skip
from injector.decision.pod_settings import PodSettings
from injector.decision.unknown_annotations import find_workload_keys
from injector.k8s.objects import read_service_account_name, read_spec
from injector.metadata_keys import IRSA_ROLE, ROLE
from injector.patch.injection_record import find_app_containers
from injector.patch.qos import is_guaranteed
from injector.reasons import Explanation, Reason
from podrole.diagnosis.pods.expected_state import SERIOUS_WARNINGS
from podrole.estate.objects import Workload
from podrole.findings import Finding, Level
from podrole.planning.estate import PlanEstate
from podrole.planning.findings import PlanFinding
from podrole.planning.pod_plans import PodPlan
from podrole.planning.resources import Cost, format_amount
from podrole.planning.roles_now import DEFAULT, PODROLE, RoleNow

UNSUPPORTED = {Reason.HOST_NETWORK, Reason.WINDOWS}
OF_NAMESPACE = " of the namespace"
NOT_FOUND = {Reason.SERVICE_ACCOUNT_NOT_FOUND, Reason.NAMESPACE_NOT_FOUND}
"""The plan has sentences of its own for these."""


def find_account_problem(pod_plan: PodPlan, workload: Workload, estate: PlanEstate) -> Iterator[Finding]:
    """Report a ServiceAccount that does not exist."""
    name = read_service_account_name(pod_plan.pod)
    if (workload.namespace, name) in estate.accounts:
        return
    if estate.is_known_to_miss("ServiceAccount"):
        namespace, word = map(shlex.quote, (workload.namespace, name))
        yield PlanFinding.ACCOUNT_MISSING.format(account=name, namespace=namespace, word=word)
    elif name != "default" and not estate.is_complete:
        yield PlanFinding.ACCOUNT_UNKNOWN.format(account=name)


def find_denials(pod_plan: PodPlan, running: int, *, is_account_known: bool) -> Iterator[Finding]:
    """Report why its pods would be denied, or would not get the role that is named for them."""
    decision = pod_plan.decision
    if isinstance(decision, Deny):
        found = [*_explain_denial(decision, is_account_known=is_account_known)]
        yield from found
        if running and any(one.level == Level.PROBLEM for one in found):
            yield PlanFinding.DENIED_AT_RESTART.format(count=running)
    elif pod_plan.redirect_problem:
        yield PlanFinding.REDIRECT_FORBIDDEN.format(why=pod_plan.redirect_problem)
    elif isinstance(decision, Skip) and decision.reason in UNSUPPORTED:
        role = pod_plan.account.annotations.get(ROLE) or pod_plan.account.annotations.get(IRSA_ROLE)
        template = PlanFinding.ROLE_NOT_GIVEN if role else PlanFinding.UNCHANGED
        yield template.format(role=role, reason=pod_plan.then.message)
    elif isinstance(decision, Skip):
        yield PlanFinding.UNCHANGED.format(reason=pod_plan.then.message)


def _explain_denial(decision: Deny, *, is_account_known: bool) -> Iterator[Finding]:
    for one in decision.explanations:
        sentence, remedy = one.reason.fill(one.values)
        if one.reason is Reason.ACCOUNT_NOT_CONFIGURED and not is_account_known:
            yield PlanFinding.ROLE_ACCOUNT_UNKNOWN.format()
        elif one.reason not in NOT_FOUND:
            yield PlanFinding.WOULD_BE_DENIED.format(code=one.reason.code, reason=sentence, remedy=remedy)


def find_warnings(pod_plan: PodPlan, workload: Workload) -> Iterator[Finding]:
    """Report what the webhook would warn of, and keys of the workload that belong to its pods."""
    yield from map(_build_warning, _find_misplaced_keys(workload))
    for one in pod_plan.warnings:
        if not _is_reported(one, pod_plan):
            yield _build_warning(one)


def _find_misplaced_keys(workload: Workload) -> Iterator[Explanation]:
    """Find keys of the pods on the workload, or on an object between it and its pod template, as a CronJob has."""
    template, keys = workload.template, workload.template.template_path
    place = ".".join(map(str, (*keys, "metadata")))
    found: Any = workload.obj
    for depth, key in enumerate(keys):
        if depth == 0 or (isinstance(found, dict) and isinstance(found.get("metadata"), dict)):
            inner = f"'s {'.'.join(map(str, keys[:depth]))}" if depth else ""
            yield from find_workload_keys(found, f"{template.kind}{inner}", template.pod, place)
        found = found[key]


def _build_warning(one: Explanation) -> Finding:
    """A warning of the webhook with its own code."""
    level = Level.WARNING if one.reason in SERIOUS_WARNINGS else Level.NOTE
    return Finding(level, one.reason.code, *one.reason.fill(one.values))


def _is_reported(one: Explanation, pod_plan: PodPlan) -> bool:
    is_reason = not isinstance(pod_plan.decision, Deny) and one.reason is pod_plan.decision.reason
    return is_reason or _is_of_namespace(one)


def find_namespace_warnings(pod_plan: PodPlan) -> Iterator[Finding]:
    """Report what is wrong with the namespace, for all of its workloads."""
    for one in pod_plan.warnings:
        if _is_of_namespace(one):
            yield _build_warning(one)


def _is_of_namespace(one: Explanation) -> bool:
    return one.values.get("where", "").endswith(OF_NAMESPACE)


def find_changes(pod_plan: PodPlan, now: RoleNow, cost: Cost) -> Iterator[Finding]:
    """Report a role that is lost or changes, and what a Guaranteed pod costs."""
    if now.role and isinstance(pod_plan.decision, Block):
        yield PlanFinding.CREDENTIALS_LOST.format(role=now.role, system=now.system)
    then = pod_plan.then.role
    is_named = now.system not in {PODROLE, DEFAULT}  # a default role gives way to every other one
    if is_named and now.role and now.role.startswith("arn:") and then and then != now.role:
        yield PlanFinding.ROLE_CHANGES.format(role=now.role, system=now.system, then=then)
    if not isinstance(pod_plan.decision, Inject) or read_spec(pod_plan.pod).get("resources"):
        return
    if is_guaranteed(find_app_containers(pod_plan.pod)) and not _sets_cpu(pod_plan.decision.settings):
        added = format_amount("cpu", cost.added["requests.cpu"])
        yield PlanFinding.GUARANTEED.format(cpu=added)


def find_irsa(pod_plan: PodPlan, namespace: str, *, has_irsa: bool) -> Iterator[Finding]:
    """Report pods that have a role of podrole's and variables of IRSA."""
    irsa_role = pod_plan.account.annotations.get(IRSA_ROLE)
    if has_irsa and irsa_role and isinstance(pod_plan.decision, Inject):
        name = read_service_account_name(pod_plan.pod)
        words = dict(zip(("namespace", "word", "role"), map(shlex.quote, (namespace, name, irsa_role)), strict=True))
        yield PlanFinding.IRSA_PREFERRED.format(account=name, **words)


def find_lost_injection(pod_plan: PodPlan, injected: int) -> Iterator[Finding]:
    """Report pods that have podrole's containers, although new ones would not."""
    if injected and isinstance(pod_plan.decision, Skip):
        yield PlanFinding.NO_LONGER_INJECTED.format(count=injected, reason=pod_plan.then.message)


def _sets_cpu(settings: PodSettings) -> bool:
    return bool(settings.sidecar_resources.keys() & {"requests.cpu", "limits.cpu"})
