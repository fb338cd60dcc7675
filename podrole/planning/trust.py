"""Whether the existing trust policies of roles let the pods in that would have them."""

import shlex
from collections.abc import Iterator
from typing import NamedTuple

from injector.config import Config
from injector.decision.outcomes import Inject
from podrole.findings import Finding
from podrole.iam.check import check_policy
from podrole.iam.documents import PolicyError
from podrole.iam.findings import TrustFinding
from podrole.iam.policies import build_subject
from podrole.iam.policy_files import ExistingPolicies
from podrole.iam.statements import ExpectedTrust
from podrole.planning.findings import PlanFinding


class KnownTrust(NamedTuple):
    """The policies of `--policies`."""

    policies: ExistingPolicies
    issuer: str | None
    """Of the cluster's tokens, without https://. None: not compared."""


def check_trust(decision: Inject, pods: tuple[str, str], trust: KnownTrust, config: Config) -> Iterator[Finding]:
    """Check the policy of the role that the pods' token assumes. `pods`: their namespace and ServiceAccount."""
    role = decision.settings.intermediate_role or decision.role_arn
    existing = trust.policies.find(role)
    if existing is None:
        namesake = trust.policies.find_namesake(role)
        hint = f" {namesake} is another role." if namesake else ""
        yield PlanFinding.TRUST_UNKNOWN.format(role=role, hint=hint)
        return
    try:
        subject = build_subject(*pods)
        is_outside, audience = config.is_outside_aws, decision.settings.audience
        expected = ExpectedTrust(trust.issuer, role, (subject,), {}, audience, is_outside)
        findings = check_policy(existing.policy, expected)
    except PolicyError as error:
        yield PlanFinding.TRUST_UNREADABLE.format(role=role, file=existing.file, problem=error)
        return
    if TrustFinding.SUBJECT_ALLOWED.format(subject=subject) not in findings:
        words = dict(zip(("word", "namespace", "account"), map(shlex.quote, (role, *pods)), strict=True))
        yield PlanFinding.TRUST_MISSING.format(role=role, file=existing.file, **words)
