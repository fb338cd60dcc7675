"""Whether the webhook would give a pod the role that is named for it: its own decision, with its own settings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from contract.outside_aws import is_outside_aws
from injector.config import Config
from injector.decision.allowed_roles import check_role_allowed
from injector.decision.context import ClusterContext, build_context
from injector.decision.decide import decide
from injector.decision.outcomes import Block, Decision, Deny, Inject, Skip
from injector.decision.roles import parse_role
from injector.decision.unknown_annotations import find_injection_label
from injector.k8s.objects import Metadata, Object
from injector.k8s.version import Version
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL
from injector.partitions import PARTITIONS
from injector.reasons import Reason
from podrole.findings import Finding
from podrole.iam.usage_findings import UsageFinding

CLAIMS = (Reason.ROLE_FROM_POD, Reason.ROLE_FROM_SERVICE_ACCOUNT)
"""Roles that whoever can create a pod or annotate a ServiceAccount chose, unlike the namespace's default role."""

SYSTEM_NAMESPACES = ("podrole-system", "kube-system", "kube-public", "kube-node-lease")
"""The API server does not call the webhook for their pods, whatever their labels: kustomize/base/webhook.yaml."""

UNLISTED_ROLE = "podrole.not-in-any-list"
MAX_REASONS = 3
"""A pod with many containers can be denied for each."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account of roles that are given by name, and the settings with which the webhook decides."""

    base_role_arn: str | None = None
    region: str | None = None
    """None allows every partition."""

    installed: Config | None = None
    """The settings of the installed webhook; None: the default ones."""

    audience: str | None = None
    """Of tokens whose ServiceAccount sets none; None: the installed webhook's, else the default one."""

    sts_endpoint: str | None = None
    """None: the installed webhook's, else the region's."""

    version: Version | None = None
    """Of the API server; None: not known, and it can run native sidecars."""

    @property
    def is_outside_aws(self) -> bool:
        """Whether roles can have ARNs of other forms than AWS's."""
        return is_outside_aws(self.sts_endpoint or (self.installed.sts_endpoint if self.installed else None))

    def resolve(self, text: str, where: str) -> str:
        """Return the ARN of a role in an annotation. Raises InvalidRoleError."""
        return parse_role(text, where, self.build_config(text))

    def build_config(self, role: str) -> Config:
        """Build the settings for a decision about a role. Options take precedence over the installed webhook's."""
        if self.installed is None:
            region = self.region or _find_region(role)
            config = Config(sidecar_image="", region=region, base_role_arn=self.base_role_arn)
            return config._replace(audience=self.audience or config.audience, sts_endpoint=self.sts_endpoint)
        base = self.base_role_arn or self.installed.role_arn_prefix
        region = self.region or self.installed.region
        return self.installed._replace(
            region=region,
            base_role_arn=base,
            account_id=None,
            audience=self.audience or self.installed.audience,
            sts_endpoint=self.sts_endpoint or self.installed.sts_endpoint,
        )


class Selection(NamedTuple):
    """Which of the accounts that the webhook admits get into a policy."""

    includes_unlabelled: bool = False
    """Also those of namespaces without podrole's label, as if they had it."""

    requires_allow_list: bool = False


class Candidate(NamedTuple):
    """A pod for which a role is named, or the pod that a ServiceAccount or a namespace would have."""

    role: str
    """As in the annotation."""

    owner: str
    """Kind and name of the pod, or of the object with the annotation."""

    namespace: str
    service_account: str
    subject: str
    pod: Object
    is_suspended: bool = False
    """Whether its workload creates no pod until somebody resumes it."""


class Admission(NamedTuple):
    """What the webhook does with a candidate."""

    role_arn: str | None
    """None: it is not valid."""

    inject: Inject | None
    """None: the candidate is left out."""

    findings: tuple[Finding, ...] = ()


def review(
    candidate: Candidate, namespace: Metadata | None, account: Metadata | None, settings: Account, selection: Selection
) -> Admission:
    """Decide about a candidate. `namespace` is None where manifests do not contain it, `account` where none exists."""
    labels, annotations = namespace or Metadata({}, {})
    if namespace is None or selection.includes_unlabelled:
        labels = {**labels, INJECTION_LABEL: INJECTION_ENABLED}
    cluster_context = ClusterContext(Metadata(labels, annotations), account, settings.version)
    config = settings.build_config(candidate.role)
    values = {"subject": candidate.subject, "owner": candidate.owner, "namespace": candidate.namespace}
    decision = decide(candidate.pod, cluster_context, config)
    if not isinstance(decision, Inject) or candidate.namespace in SYSTEM_NAMESPACES:
        role_arn = build_context(candidate.pod, cluster_context, config).settings.role_arn
        if candidate.namespace in SYSTEM_NAMESPACES:
            return Admission(role_arn, None, (UsageFinding.SUBJECT_IN_SYSTEM_NAMESPACE.format(**values),))
        return Admission(role_arn, None, tuple(_explain(values, decision, Metadata(labels, annotations))))
    values |= {"role": decision.role_arn}
    if namespace is None:
        return Admission(decision.role_arn, decision, (UsageFinding.NAMESPACE_UNKNOWN.format(**values),))
    if decision.reason not in CLAIMS or is_restricted(decision.role_arn, annotations, config):
        return Admission(decision.role_arn, decision)
    if selection.requires_allow_list:
        return Admission(decision.role_arn, None, (UsageFinding.ALLOW_LIST_MISSING.format(**values),))
    return Admission(decision.role_arn, decision, (UsageFinding.SELF_CLAIMED.format(**values),))


def is_restricted(role_arn: str, annotations: Mapping[str, str], config: Config) -> bool:
    """Whether a namespace does not allow a role of the same account that nobody has listed."""
    unlisted = f"{role_arn.partition(':role/')[0]}:role/{UNLISTED_ROLE}"
    return any(check_role_allowed(unlisted, annotations, config))


def _explain(values: dict[str, str], decision: Decision, namespace: Metadata) -> Iterator[Finding]:
    match decision:
        case Deny():
            reasons = " ".join(f"[{one.reason.code}] {one.text}" for one in decision.explanations[:MAX_REASONS])
            yield UsageFinding.SUBJECT_DENIED.format(**values, reason=reasons)
        case Skip(reason=Reason.NAMESPACE_NOT_LABELLED):
            found = find_injection_label(namespace)
            yield UsageFinding.SUBJECT_UNLABELLED.format(**values, instead=f" (it has {found})" if found else "")
        case Skip():
            yield UsageFinding.SUBJECT_SKIPPED.format(**values, reason=decision.reason.explain().text)
        case Inject() | Block():
            pass


def _find_region(role: str) -> str:
    """Return a region, or a prefix of regions, in the partition of an ARN. Decisions use only the partition."""
    partition = role.split(":")[1] if role.startswith("arn:") and ":" in role[4:] else "aws"
    return next((prefix for prefix, known in PARTITIONS.items() if known == partition), "us-east-1")
