"""Which roles are named in annotations, and by which ServiceAccounts they are used. Precedence is as in the webhook.

Namespaces without podrole's label are included: a migration from kube2iam or Kiam needs the policies before the label.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from injector.config import Config
from injector.decision.roles import parse_role
from injector.k8s.objects import Metadata, Object, parse_metadata, read_mapping, read_service_account_name
from injector.k8s.workloads import PodTemplate, find_templates
from injector.metadata_keys import DEFAULT_ROLE, EXTERNAL_ID, INTERMEDIATE_ROLE, IRSA_ROLE, ROLE, SESSION_TAGS
from injector.partitions import PARTITIONS
from injector.reasons import InvalidRoleError
from podrole.iam.policies import ChainedRole, TrustRequirements, build_subject

UNKNOWN = Metadata({}, {})


@dataclass(frozen=True, slots=True)
class Account:
    """The account of roles that are given by name, as configured in the webhook."""

    base_role_arn: str | None = None
    region: str | None = None
    """None allows every partition."""

    def resolve(self, text: str, where: str) -> str:
        """Return the ARN of a role in an annotation. Raises InvalidRoleError."""
        region = self.region or _find_region(text)
        return parse_role(text, where, Config(sidecar_image="", region=region, base_role_arn=self.base_role_arn))


@dataclass
class ClusterObjects:
    """The objects of a cluster, or of manifests, that determine which ServiceAccount uses which role."""

    namespaces: dict[str, Metadata] = field(default_factory=dict)
    accounts: dict[tuple[str, str], Metadata] = field(default_factory=dict)
    templates: list[tuple[str, PodTemplate]] = field(default_factory=list)
    """Namespace and template."""

    def add(self, thing: Object, default_namespace: str = "default") -> None:
        """Add an object. Raises ObjectError."""
        metadata = read_mapping(thing, "metadata")
        name, namespace = str(metadata.get("name")), str(metadata.get("namespace") or default_namespace)
        match thing.get("kind"):
            case "Namespace":
                self.namespaces[name] = parse_metadata(thing)
            case "ServiceAccount":
                self.accounts[namespace, name] = parse_metadata(thing)
            case _:
                self.templates += [(namespace, template) for template in find_templates(thing)]


class RoleReference(NamedTuple):
    """An annotation that names a role, and the ServiceAccount that uses it."""

    role: str
    where: str
    namespace: str
    service_account: str
    external_id: str | None = None
    has_tags: bool = False


class RoleUsage(NamedTuple):
    """All roles in use, and the annotations that are not valid."""

    requirements: tuple[TrustRequirements, ...]
    """Ordered by the role's ARN."""

    problems: tuple[str, ...]
    """One sentence for each annotation that does not contain a valid role."""


def find_usage(objects: ClusterObjects, account: Account) -> RoleUsage:
    """Find the trust requirements of every role that an annotation names."""
    subjects: Mapping[str, set[str]] = defaultdict(set)
    chained_roles: Mapping[str, set[ChainedRole]] = defaultdict(set)
    problems: dict[str, None] = {}
    for reference in find_role_references(objects):
        subject = build_subject(reference.namespace, reference.service_account)
        intermediate = objects.namespaces.get(reference.namespace, UNKNOWN).annotations.get(INTERMEDIATE_ROLE)
        try:
            role_arn = account.resolve(reference.role, reference.where)
            if intermediate is None:
                subjects[role_arn].add(subject)
                continue
            intermediate_arn = account.resolve(
                intermediate, f"annotation {INTERMEDIATE_ROLE} of namespace {reference.namespace}"
            )
        except InvalidRoleError as error:
            problems[str(error)] = None
            continue
        subjects[intermediate_arn].add(subject)
        chained_roles[role_arn].add(ChainedRole(intermediate_arn, reference.external_id, reference.has_tags))
    roles = sorted({*subjects, *chained_roles})
    return RoleUsage(
        tuple(
            TrustRequirements(role, frozenset(subjects.get(role, ())), frozenset(chained_roles.get(role, ())))
            for role in roles
        ),
        tuple(problems),
    )


def find_role_references(objects: ClusterObjects) -> Iterator[RoleReference]:
    """Find all references: in ServiceAccounts, in pods and templates, and default roles of namespaces."""
    for (namespace, name), account in objects.accounts.items():
        for key in (ROLE, IRSA_ROLE):
            if key in account.annotations:
                where = f"annotation {key} of ServiceAccount {namespace}/{name}"
                yield RoleReference(account.annotations[key], where, namespace, name)
                break
    from_pods = [found for place in objects.templates if (found := _find_reference(*place, objects))]
    yield from from_pods
    seen = {reference.where for reference in from_pods}
    for name, metadata in objects.namespaces.items():
        where = f"annotation {DEFAULT_ROLE} of namespace {name}"
        if DEFAULT_ROLE in metadata.annotations and where not in seen:
            # No pod uses it yet. The first one will most likely use this ServiceAccount.
            yield RoleReference(metadata.annotations[DEFAULT_ROLE], where, name, "default")


def _find_reference(namespace: str, template: PodTemplate, objects: ClusterObjects) -> RoleReference | None:
    pod = parse_metadata(template.pod)
    account_name = read_service_account_name(template.pod)
    account = objects.accounts.get((namespace, account_name), UNKNOWN)
    sources = (
        (pod, ROLE, f"{template.kind} {namespace}/{template.name}"),
        (account, ROLE, f"ServiceAccount {namespace}/{account_name}"),
        (account, IRSA_ROLE, f"ServiceAccount {namespace}/{account_name}"),
        (objects.namespaces.get(namespace, UNKNOWN), DEFAULT_ROLE, f"namespace {namespace}"),
    )
    for metadata, key, owner in sources:
        if key in metadata.annotations:
            return RoleReference(
                role=metadata.annotations[key],
                where=f"annotation {key} of {owner}",
                namespace=namespace,
                service_account=account_name,
                external_id=pod.annotations.get(EXTERNAL_ID),
                has_tags=SESSION_TAGS in pod.annotations,
            )
    return None


def _find_region(role: str) -> str:
    """Return a region, or a prefix of regions, in the partition of an ARN. Only the partition is used."""
    partition = role.split(":")[1] if role.startswith("arn:") and ":" in role[4:] else "aws"
    return next((prefix for prefix, known in PARTITIONS.items() if known == partition), "us-east-1")
