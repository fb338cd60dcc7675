"""Which roles the annotations of a cluster name, and for whom. Roles are found as the webhook finds them.

Namespaces without podrole's label count, too: whoever comes from kube2iam or Kiam needs the policies before the label.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from injector.config import Config
from injector.decision.annotations import DEFAULT_ROLE, EXTERNAL_ID, INTERMEDIATE_ROLE, IRSA_ROLE, ROLE, SESSION_TAGS
from injector.decision.roles import parse_role
from injector.k8s.objects import Metadata, Object, parse_metadata, read_mapping, read_service_account_name
from injector.k8s.workloads import PodTemplate, find_templates
from injector.partitions import PARTITIONS
from injector.reasons import InvalidRoleError
from podrole.iam.policies import ChainedRole, TrustRequirements, build_subject

UNKNOWN = Metadata({}, {})


@dataclass(frozen=True, slots=True)
class Account:
    """Where roles without an account are: what the webhook is configured with."""

    base_role_arn: str | None = None
    region: str | None = None
    """None: any partition is taken."""

    def resolve(self, text: str, where: str) -> str:
        """The ARN of a role as an annotation has it; raises InvalidRoleError."""
        region = self.region or _find_region(text)
        return parse_role(text, where, Config(sidecar_image="", region=region, base_role_arn=self.base_role_arn))


@dataclass
class ClusterObjects:
    """What of a cluster, or of manifests, tells who uses which role."""

    namespaces: dict[str, Metadata] = field(default_factory=dict)
    accounts: dict[tuple[str, str], Metadata] = field(default_factory=dict)
    templates: list[tuple[str, PodTemplate]] = field(default_factory=list)
    """Each with its namespace."""

    def add(self, thing: Object, default_namespace: str = "default") -> None:
        """Know one object more. Raises ObjectError."""
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
    """Somebody who has a role, as an annotation names it."""

    role: str
    where: str
    namespace: str
    service_account: str
    external_id: str | None = None
    has_tags: bool = False


class RoleUsage(NamedTuple):
    """What was found."""

    needs: tuple[TrustRequirements, ...]
    """In the order of their ARNs."""

    problems: tuple[str, ...]
    """Annotations that name no role."""


def find_usage(inventory: ClusterObjects, account: Account) -> RoleUsage:
    """Find what every role needs that is named anywhere."""
    subjects: Mapping[str, set[str]] = defaultdict(set)
    chained_roles: Mapping[str, set[ChainedRole]] = defaultdict(set)
    problems: dict[str, None] = {}
    for use in find_role_references(inventory):
        subject = build_subject(use.namespace, use.service_account)
        first = inventory.namespaces.get(use.namespace, UNKNOWN).annotations.get(INTERMEDIATE_ROLE)
        try:
            role_arn = account.resolve(use.role, use.where)
            if first is None:
                subjects[role_arn].add(subject)
                continue
            hop_arn = account.resolve(first, f"annotation {INTERMEDIATE_ROLE} of namespace {use.namespace}")
        except InvalidRoleError as error:
            problems[str(error)] = None
            continue
        subjects[hop_arn].add(subject)
        chained_roles[role_arn].add(ChainedRole(hop_arn, use.external_id, use.has_tags))
    roles = sorted({*subjects, *chained_roles})
    return RoleUsage(
        tuple(
            TrustRequirements(role, frozenset(subjects.get(role, ())), frozenset(chained_roles.get(role, ())))
            for role in roles
        ),
        tuple(problems),
    )


def find_role_references(inventory: ClusterObjects) -> Iterator[RoleReference]:
    """Find who has which role: accounts that name one, pods, and namespaces that have a default for pods to come."""
    for (namespace, name), account in inventory.accounts.items():
        for key in (ROLE, IRSA_ROLE):
            if key in account.annotations:
                where = f"annotation {key} of ServiceAccount {namespace}/{name}"
                yield RoleReference(account.annotations[key], where, namespace, name)
                break
    of_pods = [use for place in inventory.templates if (use := _find_use(*place, inventory))]
    yield from of_pods
    wheres = {use.where for use in of_pods}
    for name, metadata in inventory.namespaces.items():
        where = f"annotation {DEFAULT_ROLE} of namespace {name}"
        if DEFAULT_ROLE in metadata.annotations and where not in wheres:
            # No pod has it yet. The first one will most likely run as this account.
            yield RoleReference(metadata.annotations[DEFAULT_ROLE], where, name, "default")


def _find_use(namespace: str, template: PodTemplate, inventory: ClusterObjects) -> RoleReference | None:
    pod = parse_metadata(template.pod)
    account_name = read_service_account_name(template.pod)
    account = inventory.accounts.get((namespace, account_name), UNKNOWN)
    sources = (
        (pod, ROLE, f"{template.kind} {namespace}/{template.name}"),
        (account, ROLE, f"ServiceAccount {namespace}/{account_name}"),
        (account, IRSA_ROLE, f"ServiceAccount {namespace}/{account_name}"),
        (inventory.namespaces.get(namespace, UNKNOWN), DEFAULT_ROLE, f"namespace {namespace}"),
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
    """Some region in the partition of an ARN. Only the partition counts: a prefix stands for all its regions."""
    partition = role.split(":")[1] if role.startswith("arn:") and ":" in role[4:] else "aws"
    return next((prefix for prefix, known in PARTITIONS.items() if known == partition), "us-east-1")
