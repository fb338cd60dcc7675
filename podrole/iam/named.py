"""ServiceAccounts that the user names for a role: what the webhook would do with their pods."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import contract
from injector.decision.context import ClusterContext, build_context
from injector.decision.unknown_annotations import find_injection_label
from injector.k8s.objects import EMPTY_METADATA, Metadata
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL, ROLE
from podrole.estate.objects import Estate
from podrole.findings import Finding
from podrole.iam.admission import Account, Candidate, Selection, review
from podrole.iam.candidates import build_pod, find_account
from podrole.iam.policies import ChainedRole, TrustRequirements, build_subject
from podrole.iam.usage import Notice, RoleUsage
from podrole.iam.usage_findings import UsageFinding

AS_LABELLED = Selection(includes_unlabelled=True)
WILDCARD = "*"


class NamedAccount(NamedTuple):
    """A ServiceAccount as the user named it; `*` is a wildcard."""

    namespace: str
    name: str

    @property
    def subject(self) -> str:
        """The subject of its tokens. Raises PolicyError."""
        return build_subject(self.namespace, self.name)


class _Judged(NamedTuple):
    audience: str
    chained_role: ChainedRole | None = None
    is_admitted: bool = True
    findings: tuple[Finding, ...] = ()


def find_named_usage(role_arn: str, names: Sequence[NamedAccount], estate: Estate, settings: Account) -> RoleUsage:
    """Find the requirements of a role for accounts that the user named, as far as the webhook admits them.

    An account of a namespace without podrole's label is admitted too: a migration sets the policies first.
    """
    judged = {one.subject: _judge(role_arn, one, estate, settings) for one in names}
    notices = [Notice(role_arn, subject, finding) for subject, one in judged.items() for finding in one.findings]
    admitted = {subject: one for subject, one in judged.items() if one.is_admitted}
    direct = {subject: one.audience for subject, one in admitted.items() if one.chained_role is None}
    chained_roles = frozenset(one.chained_role for one in admitted.values() if one.chained_role is not None)
    required = TrustRequirements(role_arn, frozenset(direct), chained_roles, _drop_default(direct))
    return RoleUsage((required,) if direct or chained_roles else (), tuple(notices))


def build_unchecked(role_arn: str, audiences: Mapping[str, str], why: str) -> RoleUsage:
    """Build the requirements of subjects, each with its audience, that are not checked. "": as the user wants it."""
    required = TrustRequirements(role_arn, frozenset(audiences), audiences=_drop_default(audiences))
    notices = [
        Notice(role_arn, one, UsageFinding.NAMED_NOT_CHECKED.format(subject=one, audience=audience, why=why))
        for one, audience in audiences.items()
        if why
    ]
    return RoleUsage((required,), tuple(notices))


def _drop_default(audiences: Mapping[str, str]) -> dict[str, str]:
    return {subject: audience for subject, audience in audiences.items() if audience != contract.TOKEN_AUDIENCE}


def _judge(role_arn: str, named: NamedAccount, estate: Estate, settings: Account) -> _Judged:
    default = settings.build_config(role_arn).audience
    if WILDCARD in named.namespace:
        values = {"audience": default, "why": "the namespace is a pattern"}
        return _Judged(default, findings=(_format(UsageFinding.NAMED_NOT_CHECKED, named, **values),))
    namespace = estate.namespaces.get(named.namespace)
    account = find_account(estate, named.namespace, named.name) or EMPTY_METADATA
    pod = build_pod(named.namespace, named.name)
    config = settings.build_config(role_arn)
    own = build_context(pod, ClusterContext(namespace, account), config).settings
    audience = settings.audience or own.audience  # the option comes first
    notes = tuple(_find_notes(named, namespace, estate))
    if own.intermediate_role == role_arn:  # its pods assume their own role from this one
        return _Judged(audience, findings=notes)
    pod["metadata"]["annotations"] = {ROLE: role_arn}
    candidate = Candidate(role_arn, "its pods", named.namespace, named.name, named.subject, pod)
    admission = review(candidate, namespace or EMPTY_METADATA, account, settings, AS_LABELLED)
    if admission.inject is None:
        return _Judged(audience, is_admitted=False, findings=admission.findings)
    first = admission.inject.settings.intermediate_role
    return _Judged(audience, ChainedRole(first) if first else None, findings=notes)


def _find_notes(named: NamedAccount, namespace: Metadata | None, estate: Estate) -> Iterator[Finding]:
    place = " in the cluster" if estate.is_complete else " among the manifests"
    if namespace is None:
        yield _format(UsageFinding.NAMED_NAMESPACE_MISSING, named, place=place)
        return
    if named.namespace in estate.terminating:
        yield _format(UsageFinding.NAMED_TERMINATING, named)
        return
    is_unknown = (named.namespace, named.name) not in estate.accounts
    if is_unknown and estate.is_complete and named.name not in {"default", WILDCARD}:
        yield _format(UsageFinding.NAMED_ACCOUNT_MISSING, named, place=place)
    if namespace.labels.get(INJECTION_LABEL) != INJECTION_ENABLED:
        found = find_injection_label(namespace)
        yield _format(UsageFinding.NAMED_UNLABELLED, named, instead=f" (it has {found})" if found else "")


def _format(template: UsageFinding, named: NamedAccount, **values: str) -> Finding:
    return template.format(subject=named.subject, namespace=named.namespace, **values)
