"""Which role the pods of a workload have now, and from which system."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from injector.k8s.objects import Metadata, Object, parse_metadata, read_list, read_mapping, read_objects, read_spec
from injector.metadata_keys import IRSA_ROLE, ROLE
from podrole.diagnosis.webhooks import list_pod_webhooks
from podrole.estate.objects import Estate
from podrole.planning.estate import RunningPod

KUBE2IAM, KIAM = "kube2iam", "Kiam"
AGENTS = {KUBE2IAM: re.compile("kube2iam"), KIAM: re.compile("kiam-agent|kiam")}
"""By what the name or an image of a DaemonSet has."""

IRSA = re.compile("pod-identity-webhook|iam-for-pods")
DEFAULT_ROLE = "--default-role"
NODE, NOBODY = "node", "nobody"


class Systems(NamedTuple):
    """What gives credentials to pods in this cluster."""

    agents: frozenset[str] | None = None
    """Of AGENTS. None: unknown."""

    default_role: str | None = None
    """kube2iam's, for pods that name none."""

    has_irsa: bool | None = None
    """Whether IRSA's webhook is installed. None: unknown."""


class RoleNow(NamedTuple):
    """The role that pods have now."""

    system: str
    role: str | None = None
    """As the annotation has it; None where it is not known, or none."""


def find_systems(daemon_sets: Iterable[Object] | None, webhooks: Sequence[Object] | None) -> Systems:
    """Find node agents by their DaemonSets, and IRSA by its webhook. None: they could not be read."""
    found = [(name, one) for one in daemon_sets or () for name in AGENTS if _has_name(one, AGENTS[name])]
    roles = [role for name, one in found if name == KUBE2IAM for role in _find_flags(one)]
    names = [f"{one.configuration_name} {one.name}" for one in list_pod_webhooks(webhooks or ())]
    return Systems(
        agents=None if daemon_sets is None else frozenset(name for name, _ in found),
        default_role=next(iter(roles), None),
        has_irsa=None if webhooks is None else any(map(IRSA.search, names)),
    )


def list_daemon_sets(estate: Estate) -> list[Object]:
    """The DaemonSets of an estate."""
    return [one.obj for one in estate.workloads if one.template.kind == "DaemonSet"]


def find_role_now(pod: Object, account: Metadata, running: Sequence[RunningPod], systems: Systems) -> RoleNow:
    """Find the role of the pods that run, or of a new one while podrole does not change it."""
    plain = [one for one in running if one.injection is None]
    if running and not plain:
        return RoleNow("podrole", running[0].injection.role if running[0].injection else None)
    variables = {name for one in plain for name in one.variables}
    irsa_role = account.annotations.get(IRSA_ROLE)
    if "AWS_ACCESS_KEY_ID" in variables | _list_variables(pod):
        return RoleNow("access keys")
    if irsa_role and (systems.has_irsa is not False or "AWS_WEB_IDENTITY_TOKEN_FILE" in variables):
        return RoleNow("IRSA", irsa_role)
    if "AWS_CONTAINER_CREDENTIALS_FULL_URI" in variables:
        return RoleNow("EKS Pod Identity")
    if read_spec(pod).get("hostNetwork"):
        return RoleNow(NODE)
    return _ask_agents(parse_metadata(pod).annotations.get(ROLE), systems)


def _ask_agents(role: str | None, systems: Systems) -> RoleNow:
    if systems.agents is None:
        return RoleNow("kube2iam or Kiam", role) if role else RoleNow(NODE)
    if not systems.agents:
        return RoleNow(NODE)
    names = " or ".join(sorted(systems.agents, reverse=True))
    if role:
        return RoleNow(names, role)
    if systems.default_role:
        return RoleNow(f"{KUBE2IAM}'s default", systems.default_role)
    return RoleNow(NOBODY)


def _has_name(daemon_set: Object, pattern: re.Pattern[str]) -> bool:
    names = [
        read_mapping(daemon_set, "metadata").get("name"),
        *(one.get("image") for one in _list_containers(daemon_set)),
    ]
    return any(pattern.search(str(name)) for name in names)


def _list_containers(daemon_set: Object) -> Sequence[Object]:
    return read_objects(read_mapping(read_mapping(read_mapping(daemon_set, "spec"), "template"), "spec"), "containers")


def _find_flags(daemon_set: Object) -> Iterable[str]:
    for container in _list_containers(daemon_set):
        words = [str(word) for key in ("command", "args") for word in read_list(container, key)]
        for word, following in zip(words, [*words[1:], ""], strict=True):
            flag, _, value = word.partition("=")
            if flag == DEFAULT_ROLE and (value or following):
                yield value or following


def _list_variables(pod: Object) -> set[str]:
    return {
        str(one.get("name"))
        for container in read_objects(read_spec(pod), "containers")
        for one in read_objects(container, "env")
    }
