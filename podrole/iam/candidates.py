"""Who names a role in annotations: ServiceAccounts, workloads, pods and namespaces."""

from collections.abc import Iterator
from typing import Any

from injector.k8s.objects import (
    EMPTY_METADATA,
    Metadata,
    Object,
    parse_metadata,
    read_mapping,
    read_service_account_name,
)
from injector.k8s.workloads import PodTemplate
from injector.metadata_keys import DEFAULT_ROLE, IRSA_ROLE, ROLE
from podrole.estate.objects import Estate
from podrole.iam.admission import Candidate
from podrole.iam.documents import PolicyError
from podrole.iam.policies import build_subject


def find_account(estate: Estate, namespace: str, name: str) -> Metadata | None:
    """Find a ServiceAccount; None where it does not exist. Manifests need not contain it, nor a namespace `default`.

    A controller creates `default` in each namespace.
    """
    return estate.accounts.get((namespace, name), None if estate.is_complete and name != "default" else EMPTY_METADATA)


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
    account = estate.accounts.get((namespace, read_service_account_name(template.pod)), EMPTY_METADATA)
    role = parse_metadata(template.pod).annotations.get(ROLE)
    role = role or _read_role(account)  # as for the webhook, an empty value counts as absent
    if role:
        return role, False
    role = estate.namespaces.get(namespace, EMPTY_METADATA).annotations.get(DEFAULT_ROLE)
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
