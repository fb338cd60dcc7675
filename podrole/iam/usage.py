"""Which roles are named in annotations, and by which ServiceAccounts they are used, as far as the webhook admits it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import contract
from injector.decision.outcomes import Inject
from injector.decision.unknown_annotations import is_left_out
from injector.errors import ObjectError
from injector.k8s.objects import EMPTY_METADATA, Object, parse_metadata, read_service_account_name
from podrole.estate.objects import Estate
from podrole.estate.unknown_templates import UnchangedObject
from podrole.findings import Finding
from podrole.iam.admission import Account, Admission, Candidate, Selection, review
from podrole.iam.candidates import find_account, find_candidates
from podrole.iam.policies import ChainedRole, TrustRequirements
from podrole.iam.usage_findings import UsageFinding

ADMITTED = Selection()


class Notice(NamedTuple):
    """A finding about an account and the role that is named for it."""

    role_arn: str | None
    """None: it is not valid."""

    subject: str
    finding: Finding


class RoleUsage(NamedTuple):
    """All roles in use, and what the operator must know about those who use them."""

    requirements: tuple[TrustRequirements, ...]
    """Ordered by the role's ARN."""

    notices: tuple[Notice, ...]

    def sort_subjects(self, about: UsageFinding) -> dict[str | None, list[str]]:
        """The subjects about which there is such a notice, by role."""
        found: dict[str | None, set[str]] = {}
        for one in self.notices:
            if one.finding.code == about.code:
                found.setdefault(one.role_arn, set()).add(one.subject)
        return {role_arn: sorted(subjects) for role_arn, subjects in found.items()}

    def list_findings(self, role_arn: str | None = None) -> list[Finding]:
        """All findings, or those about one role and about annotations without a valid role."""
        found = [one for one in self.notices if role_arn is None or one.role_arn in {role_arn, None}]
        return [*dict.fromkeys(one.finding for one in found)]


def find_usage(estate: Estate, account: Account, selection: Selection = ADMITTED) -> RoleUsage:
    """Find the trust requirements of every role that the webhook gives to pods."""
    found = _Found()
    found.add_notices(_build_notice(namespace, one) for namespace, one in estate.unknown)
    estate = _leave_out_unreadable(estate, found.notices)
    # Pods last: most have been made from a template about which the same can be said.
    for candidate in sorted(find_candidates(estate), key=lambda one: one.owner.startswith("Pod ")):
        service_account = find_account(estate, candidate.namespace, candidate.service_account)
        namespace = estate.namespaces.get(candidate.namespace)
        try:
            admission = review(candidate, namespace, service_account, account, selection)
        except ObjectError as error:
            found.add_notices([_explain_unreadable(estate, candidate.owner, error)])
            continue
        if template := _find_exclusion(estate, candidate.namespace):
            why = template.format(subject=candidate.subject, namespace=candidate.namespace)
            admission = Admission(admission.role_arn, None, (why,))
        found.add_findings(candidate, admission)
        if admission.inject is not None:
            found.add_user(candidate, admission.inject)
    found.add_notices(found.list_suspended())
    return RoleUsage(found.build_requirements(), tuple(found.notices))


def _find_exclusion(estate: Estate, namespace: str) -> UsageFinding | None:
    """Why no policy has accounts of a namespace, whatever the annotations and the selection say."""
    if namespace in estate.terminating:
        return UsageFinding.SUBJECT_TERMINATING
    return UsageFinding.SUBJECT_LEFT_OUT if is_left_out(estate.namespaces.get(namespace, EMPTY_METADATA)) else None


class _Found:
    """What has been found so far."""

    def __init__(self) -> None:
        self.notices: dict[Notice, None] = {}
        """In their order, each once."""

        self._subjects: dict[str, set[str]] = defaultdict(set)
        self._chained_roles: dict[str, set[ChainedRole]] = defaultdict(set)
        self._audiences: dict[str, str] = {}
        self._active: dict[tuple[str, str], str] = {}
        self._suspended: dict[tuple[str, str], str] = {}
        """The owner, by role and subject."""

        self._said: set[tuple[str, str]] = set()

    def add_notices(self, notices: Iterable[Notice]) -> None:
        self.notices |= dict.fromkeys(notices)

    def add_findings(self, candidate: Candidate, admission: Admission) -> None:
        """Add what was found about a candidate, but nothing about a pod that is said about others."""
        for found in admission.findings:
            what = (candidate.subject, found.text.replace(candidate.owner, ""))
            if what not in self._said or not candidate.owner.startswith("Pod "):
                self.add_notices([Notice(admission.role_arn, candidate.subject, found)])
            self._said.add(what)

    def add_user(self, candidate: Candidate, inject: Inject) -> None:
        role_arn, settings = inject.role_arn, inject.settings
        owners = self._suspended if candidate.is_suspended else self._active
        owners.setdefault((role_arn, candidate.subject), candidate.owner)
        intermediate = settings.intermediate_role
        self._subjects[intermediate or role_arn].add(candidate.subject)
        if settings.audience != contract.TOKEN_AUDIENCE:
            self._audiences[candidate.subject] = settings.audience
        if intermediate:
            env = settings.sidecar_env
            has_tags = contract.ENV_SESSION_TAGS in env
            self._chained_roles[role_arn].add(ChainedRole(intermediate, env.get(contract.ENV_EXTERNAL_ID), has_tags))

    def list_suspended(self) -> Iterator[Notice]:
        """A notice of each subject of which all users of a role are suspended."""
        for (role_arn, subject), owner in self._suspended.items():
            if (role_arn, subject) not in self._active:
                found = UsageFinding.SUBJECT_SUSPENDED.format(subject=subject, role=role_arn, owner=owner)
                yield Notice(role_arn, subject, found)

    def build_requirements(self) -> tuple[TrustRequirements, ...]:
        return tuple(
            TrustRequirements(
                role,
                frozenset(users := self._subjects.get(role, set())),
                frozenset(self._chained_roles.get(role, ())),
                {subject: self._audiences[subject] for subject in users if subject in self._audiences},
            )
            for role in sorted({*self._subjects, *self._chained_roles})
        )


def _build_notice(namespace: str, unknown: UnchangedObject) -> Notice:
    owner = f"{unknown.template.kind} {namespace}/{unknown.template.name}"
    found = UsageFinding.POD_TEMPLATE_UNKNOWN.format(owner=owner, why=unknown.sentence)
    return Notice(None, owner, found._replace(remedy=" ".join(filter(None, (unknown.remedy, found.remedy)))))


def _leave_out_unreadable(estate: Estate, notices: dict[Notice, None]) -> Estate:
    """Leave out workloads of custom kinds, which can have any fields, and add a notice for each."""
    kept = []
    for one in estate.workloads:
        owner = f"{one.template.kind} {one.namespace}/{one.template.name}"
        try:
            _check_readable(one.namespace, one.template.pod)
        except ObjectError as error:
            notices[_explain_unreadable(estate, owner, error)] = None
        else:
            kept.append(one)
    return replace(estate, workloads=kept)


def _check_readable(namespace: str, pod: Object) -> None:
    parse_metadata(pod)
    if "*" in namespace + read_service_account_name(pod):
        raise ObjectError("its ServiceAccount has a wildcard in its name, which would trust others too")


def _explain_unreadable(estate: Estate, owner: str, error: ObjectError) -> Notice:
    """Build a notice. In manifests it is an error: raises ObjectError."""
    if not estate.is_complete:
        raise ObjectError(f"{owner}: {error}") from error
    return Notice(None, owner, UsageFinding.POD_TEMPLATE_UNKNOWN.format(owner=owner, why=f"{error}."))
