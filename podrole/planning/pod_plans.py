"""What the webhook would do with a new pod of a workload: its own decision, and its own injection plan."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from contract.modes import Mode
from injector.config import Config
from injector.decision.context import ClusterContext, build_context
from injector.decision.outcomes import Block, Decision, Deny, Inject, Outcome
from injector.k8s.objects import EMPTY_METADATA, Metadata, Object, read_service_account_name, read_spec
from injector.k8s.version import Version
from injector.patch.plan import InjectionPlan, plan_injection
from injector.patch.template import Template
from injector.patch.uninject import build_uninject_patch
from injector.reasons import Explanation, Reason, TooLargePodError
from injector.value_types import ModePolicy
from injector.webhook.admission_review import count_containers
from injector.webhook.review_limits import MAX_CONTAINERS
from podrole.diagnosis.pods.injection import is_injected
from podrole.estate.decisions import decide_workload
from podrole.estate.objects import Workload
from podrole.planning.estate import Injection, PlanEstate
from podrole.planning.roles_now import Systems
from podrole.planning.trust import KnownTrust

NO_SYSTEMS = Systems()
"""Nothing is known about them."""

ENV_MODES = {Reason.ENV_MODE, Reason.ENV_MODE_ON_FARGATE}


@dataclass(frozen=True)
class Settings:
    """What decisions depend on, except for the estate."""

    config: Config
    template: Template
    version: Version | None = None
    systems: Systems = NO_SYSTEMS
    trust: KnownTrust | None = None
    """None: trust policies are not checked."""

    is_account_known: bool = True
    """Whether a role without an account has none in the webhook's settings either; False: they could not be read."""


class Then(NamedTuple):
    """What the webhook would do with a new pod."""

    outcome: Outcome
    role: str | None = None
    mode: str | None = None
    mode_reason: str = ""
    """Why it is env mode."""

    reason: str = ""
    """Codes of `injector.reasons`, separated by commas."""

    message: str = ""
    """The sentences of these reasons."""


class PodPlan(NamedTuple):
    """A new pod of a workload, with the decision about it."""

    pod: Object
    """Without an earlier injection."""

    account: Metadata
    decision: Decision
    injection: InjectionPlan | None
    """None: the pod stays as it is, or is denied."""

    then: Then
    redirect_problem: str = ""
    """Why its pods cannot start with the redirect that they would have."""

    @property
    def warnings(self) -> tuple[Explanation, ...]:
        """What the webhook would warn of."""
        return self.injection.warnings if self.injection else self.decision.warnings

    @property
    def expected(self) -> Injection | None:
        """What its pods have once they are restarted."""
        if self.injection is None:
            return None
        last = self.injection.init_containers[-1]
        return Injection(str(self.then.mode), self.then.role, str(last["image"]))


def plan_pod(workload: Workload, estate: PlanEstate, settings: Settings) -> PodPlan:
    """Plan a new pod as if its namespace had podrole's label. Raises ObjectError."""
    template = workload.template
    if is_injected(template.pod):
        template = replace(template, pod=build_uninject_patch(template.pod).apply(template.pod))
        workload = workload._replace(template=template)
    pod = template.pod
    found = decide_workload(workload, estate, settings.config, settings.version, is_labelled=True)
    decision, injection = _check_number(pod) or found.decision, None
    if isinstance(decision, Inject | Block):
        try:
            injection = plan_injection(decision, pod, settings.template, settings.config)
        except TooLargePodError as error:
            decision = Deny((error.explanation,), decision.warnings)
    account = estate.accounts.get((workload.namespace, read_service_account_name(pod)), EMPTY_METADATA)
    problem = _find_redirect_problem(pod, found.cluster_context, settings.config) if injection else ""
    return PodPlan(pod, account, decision, injection, _describe(decision, injection), problem)


def _check_number(pod: Object) -> Deny | None:
    """Deny a pod that the webhook does not even read."""
    if (count := count_containers(read_spec(pod))) <= MAX_CONTAINERS:
        return None
    return Deny((Reason.TOO_MANY_CONTAINERS.explain(count=str(count), maximum=str(MAX_CONTAINERS)),))


def _find_redirect_problem(pod: Object, cluster_context: ClusterContext, config: Config) -> str:
    """Find what would lead to env mode if PODROLE_MODE did not rule that out."""
    if config.mode != ModePolicy.REDIRECT:
        return ""
    context = build_context(pod, cluster_context, config._replace(mode=ModePolicy.AUTO))
    is_redirected = build_context(pod, cluster_context, config).mode == Mode.REDIRECT
    return context.mode_reason if is_redirected else ""


def _describe(decision: Decision, injection: InjectionPlan | None) -> Then:
    warnings = injection.warnings if injection else decision.warnings
    if isinstance(decision, Deny):
        explanations = decision.explanations
    else:
        filled = next((one for one in warnings if one.reason is decision.reason), None)
        explanations = (filled or decision.reason.explain(),)
    mode = decision.mode if isinstance(decision, Inject) else Mode.BLOCK if isinstance(decision, Block) else None
    why = next((one.values["why"] for one in warnings if one.reason in ENV_MODES), "")
    return Then(
        outcome=decision.outcome,
        role=decision.role_arn if isinstance(decision, Inject) else None,
        mode=mode,
        mode_reason=why,
        reason=",".join(one.reason.code for one in explanations),
        message=" ".join(one.text for one in explanations),
    )
