"""Which roles are named in annotations, and by which ServiceAccounts they are used, as far as the webhook admits it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import contract
from injector.errors import ObjectError
from injector.k8s.objects import Metadata, Object, parse_metadata, read_mapping, read_service_account_name
from injector.k8s.workloads import PodTemplate
from injector.metadata_keys import DEFAULT_ROLE, IRSA_ROLE, ROLE
from podrole.estate.objects import Estate
from podrole.estate.unknown_templates import UnchangedObject
from podrole.findings import Finding
from podrole.iam.admission import Account, Candidate, Selection, review
from podrole.iam.documents import PolicyError
from podrole.iam.policies import ChainedRole, TrustRequirements, build_subject
from podrole.iam.usage_findings import UsageFinding

UNKNOWN = Metadata({}, {})
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
    subjects: Mapping[str, set[str]] = defaultdict(set)
    chained_roles: Mapping[str, set[ChainedRole]] = defaultdict(set)
    audiences: dict[str, str] = {}
    active: dict[tuple[str, str], str] = {}
    suspended: dict[tuple[str, str], str] = {}
    notices = {_build_notice(namespace, one): None for namespace, one in estate.unknown}
    estate = _leave_out_unreadable(estate, notices)
    said: set[tuple[str, str]] = set()
    # Pods last: most have been made from a template about which the same can be said.
    for candidate in sorted(find_candidates(estate), key=lambda one: one.owner.startswith("Pod ")):
        service_account = find_account(estate, candidate.namespace, candidate.service_account)
        namespace = estate.namespaces.get(candidate.namespace)
        try:
            admission = review(candidate, namespace, service_account, account, selection)
        except ObjectError as error:
            notices[_explain_unreadable(estate, candidate.owner, error)] = None
            continue
        for found in admission.findings:
            what = (candidate.subject, found.text.replace(candidate.owner, ""))
            if what not in said or not candidate.owner.startswith("Pod "):
                notices[Notice(admission.role_arn, candidate.subject, found)] = None
            said.add(what)
        if admission.inject is None:
            continue
        role_arn, settings = admission.inject.role_arn, admission.inject.settings
        (suspended if candidate.is_suspended else active).setdefault((role_arn, candidate.subject), candidate.owner)
        intermediate = settings.intermediate_role
        subjects[intermediate or role_arn].add(candidate.subject)
        if settings.audience != contract.TOKEN_AUDIENCE:
            audiences[candidate.subject] = settings.audience
        if intermediate:
            env = settings.sidecar_env
            has_tags = contract.ENV_SESSION_TAGS in env
            chained_roles[role_arn].add(ChainedRole(intermediate, env.get(contract.ENV_EXTERNAL_ID), has_tags))
    for (role_arn, subject), owner in suspended.items():
        if (role_arn, subject) not in active:
            found = UsageFinding.SUBJECT_SUSPENDED.format(subject=subject, role=role_arn, owner=owner)
            notices[Notice(role_arn, subject, found)] = None
    roles = sorted({*subjects, *chained_roles})
    return RoleUsage(
        tuple(
            TrustRequirements(
                role,
                frozenset(users := subjects.get(role, set())),
                frozenset(chained_roles.get(role, ())),
                {subject: audiences[subject] for subject in users if subject in audiences},
            )
            for role in roles
        ),
        tuple(notices),
    )


def find_account(estate: Estate, namespace: str, name: str) -> Metadata | None:
    """Find a ServiceAccount; None where it does not exist. Manifests need not contain it, nor a namespace `default`.

    A controller creates `default` in each namespace.
    """
    return estate.accounts.get((namespace, name), None if estate.is_complete and name != "default" else UNKNOWN)


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


def find_candidates(estate: Estate) -> Iterator[Candidate]:
    """Find who names a role: ServiceAccounts, pods and templates, and namespaces with a default role."""
    # Its workloads show whether its pods get the role: none does if all of them use hostNetwork, for example.
    with_workloads = {
        (one.namespace, read_service_account_name(one.template.pod))
        for one in estate.workloads
        if not parse_metadata(one.template.pod).annotations.get(ROLE)
    }
    for (namespace, name), account in estate.accounts.items():
        role = _read_role(account)
        if role is not None and (namespace, name) not in with_workloads:
            yield _build_candidate(role, f"ServiceAccount {namespace}/{name}", namespace, build_pod(namespace, name))
    with_default_role = set()
    for namespace, template, obj in estate.workloads:
        role, is_default = _find_role(namespace, template, estate)
        if role is not None:
            candidate = _build_candidate(role, f"{template.kind} {namespace}/{template.name}", namespace, template.pod)
            yield candidate._replace(is_suspended=read_mapping(obj, "spec").get("suspend") is True)
        if is_default:
            with_default_role.add(namespace)
    for name, metadata in estate.namespaces.items():
        if metadata.annotations.get(DEFAULT_ROLE) and name not in with_default_role:
            # No pod uses it yet. The first one will most likely use this ServiceAccount.
            role = metadata.annotations[DEFAULT_ROLE]
            yield _build_candidate(role, f"Namespace {name}", name, build_pod(name, "default"))


def _find_role(namespace: str, template: PodTemplate, estate: Estate) -> tuple[str | None, bool]:
    """Return the role that is named for a pod, and whether it is the namespace's default role."""
    account = estate.accounts.get((namespace, read_service_account_name(template.pod)), UNKNOWN)
    role = parse_metadata(template.pod).annotations.get(ROLE)
    role = role or _read_role(account)  # as for the webhook, an empty value counts as absent
    if role:
        return role, False
    role = estate.namespaces.get(namespace, UNKNOWN).annotations.get(DEFAULT_ROLE)
    return role or None, bool(role)


def _read_role(account: Metadata) -> str | None:
    return account.annotations.get(ROLE) or account.annotations.get(IRSA_ROLE)


def build_pod(namespace: str, service_account: str) -> dict[str, Any]:
    """Build a pod of a ServiceAccount that has no annotations of its own."""
    return {"metadata": {"namespace": namespace}, "spec": {"serviceAccountName": service_account, "containers": []}}


def _build_candidate(role: str, owner: str, namespace: str, pod: Object) -> Candidate:
    name = read_service_account_name(pod)
    if "*" in namespace + name:
        raise PolicyError(f"{owner}: its ServiceAccount has a wildcard in its name, which would trust others too")
    return Candidate(role, owner, namespace, name, build_subject(namespace, name), pod)
