"""Which role the pods of a workload have now, and from which system."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from injector.decision.context import is_on_fargate
from injector.k8s.objects import Metadata, Object, parse_metadata, read_objects, read_spec
from injector.metadata_keys import IRSA_ROLE, ROLE
from podrole.diagnosis.agents.flags import DEFAULT_ROLE, DISCOVERED_DEFAULT_ROLE, KUBE2IAM
from podrole.diagnosis.agents.recognition import find_agents
from podrole.diagnosis.state.webhooks import has_irsa
from podrole.estate.objects import Estate
from podrole.planning.estate import RunningPod

BASE_ARN_FLAGS = ("base-role-arn", "role-base-arn")
NODE, NOBODY, PODROLE, DEFAULT = "node", "nobody", "podrole", f"{KUBE2IAM}'s default"
"""Systems that are none of the agents and not IRSA."""


class Systems(NamedTuple):
    """What gives credentials to pods in this cluster."""

    agents: frozenset[str] | None = None
    """kube2iam, Kiam. None: unknown."""

    default_role: str | None = None
    """kube2iam's, for pods that name none."""

    has_node_default: bool = False
    """Whether pods that name none get the node's role by kube2iam."""

    base_role_arn: str = ""
    """What an agent puts before the names of roles; empty where it is not known."""

    has_irsa: bool | None = None
    """Whether IRSA's webhook is installed. None: unknown."""


class RoleNow(NamedTuple):
    """The role that pods have now."""

    system: str
    role: str | None = None
    """Its ARN, or as the annotation has it; None where it is not known, or none."""


def find_systems(daemon_sets: Iterable[Object] | None, webhooks: Sequence[Object] | None) -> Systems:
    """Find node agents by their DaemonSets, and IRSA by its webhook. None: they could not be read."""
    found = [*find_agents("DaemonSet", daemon_sets or (), ())]
    flags = {name: value for agent in found for name, value in agent.flags.items()}
    return Systems(
        agents=None if daemon_sets is None else frozenset(agent.system for agent in found),
        default_role=flags.get(DEFAULT_ROLE) or None,
        has_node_default=flags.get(DISCOVERED_DEFAULT_ROLE) == "true",
        base_role_arn=next((flags[name] for name in BASE_ARN_FLAGS if flags.get(name)), ""),
        has_irsa=None if webhooks is None else has_irsa(webhooks),
    )


def list_daemon_sets(estate: Estate) -> list[Object]:
    """The DaemonSets of an estate."""
    return [one.obj for one in estate.workloads if one.template.kind == "DaemonSet"]


def find_role_now(pod: Object, account: Metadata, running: Sequence[RunningPod], systems: Systems) -> RoleNow:
    """Find the role of the pods that run, or of a new one while podrole does not change it."""
    plain = [one for one in running if one.injection is None]
    if running and not plain:
        return RoleNow(PODROLE, running[0].injection.role if running[0].injection else None)
    variables = {name for one in plain for name in one.variables}
    irsa_role = account.annotations.get(IRSA_ROLE)
    if "AWS_ACCESS_KEY_ID" in variables | _list_variables(pod):
        return RoleNow("access keys")
    if irsa_role and (systems.has_irsa is not False or "AWS_WEB_IDENTITY_TOKEN_FILE" in variables):
        return RoleNow("IRSA", irsa_role)
    if "AWS_CONTAINER_CREDENTIALS_FULL_URI" in variables:
        return RoleNow("EKS Pod Identity")
    is_alone = is_on_fargate(pod)  # no DaemonSet runs there, and no metadata service answers
    if is_alone or read_spec(pod).get("hostNetwork"):
        return RoleNow(NOBODY if is_alone else NODE)
    return _ask_agents(parse_metadata(pod).annotations.get(ROLE), systems)


def _ask_agents(role: str | None, systems: Systems) -> RoleNow:
    if systems.agents is None:
        return RoleNow("kube2iam or Kiam", role) if role else RoleNow(NODE)
    if not systems.agents:
        return RoleNow(NODE)
    if role:
        names = " or ".join(sorted(systems.agents, reverse=True))
        return RoleNow(names, _complete(role, systems))
    if systems.default_role:
        return RoleNow(DEFAULT, _complete(systems.default_role, systems))
    return RoleNow(NODE if systems.has_node_default else NOBODY)


def _complete(role: str, systems: Systems) -> str:
    return role if role.startswith("arn:") else f"{systems.base_role_arn}{role}"


def _list_variables(pod: Object) -> set[str]:
    return {
        str(one.get("name"))
        for container in read_objects(read_spec(pod), "containers")
        for one in read_objects(container, "env")
    }
