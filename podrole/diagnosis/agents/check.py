"""Reports what the settings of kube2iam and Kiam mean for podrole."""

import shlex
from collections.abc import Iterator

from podrole.diagnosis.agents.flags import BY_FLAG, DEFAULTS, KUBE2IAM, AgentFindings, AgentFlag, list_flags
from podrole.diagnosis.agents.recognition import Agent, find_agents
from podrole.diagnosis.state.check_context import CheckContext
from podrole.diagnosis.state.cluster import ClusterState
from podrole.findings import Finding

RULE_FLAGS = list_flags(AgentFlag.RULE_ON_NODES)


OF_KIAMS_SERVER = {"role-base-arn", "role-base-arn-autodetect"}
"""It needs one of them."""


def list_agents(cluster: ClusterState) -> list[Agent]:
    """All workloads of kube2iam and Kiam that were read."""
    by_kind = {"DaemonSet": cluster.daemon_sets.value, "Deployment": cluster.agent_servers.value}
    return [
        agent for kind, them in by_kind.items() for agent in find_agents(kind, them, cluster.agent_config_maps.value)
    ]


def check_agent_settings(context: CheckContext) -> Iterator[Finding]:
    """Report each setting that podrole has in another way, or not at all."""
    for agent in list_agents(context.cluster):
        yield from explain_agent(agent)


def explain_agent(agent: Agent) -> Iterator[Finding]:
    """Report the settings of one workload."""
    for flag, value in agent.flags.items():
        if flag not in RULE_FLAGS and value not in {"false", "", DEFAULTS.get(flag)}:
            default = DEFAULTS.get(flag, "")
            values = {"value": value, "argument": shlex.quote(value), "default": default}
            yield BY_FLAG[flag].format(agent=agent.label, flag=flag, **values)
    for flag in agent.command_line.unknown_values:
        if flag not in RULE_FLAGS:
            yield AgentFindings.FLAG_VALUE_UNKNOWN.format(agent=agent.label, flag=flag)
    if agent.system == KUBE2IAM and agent.flags.get("namespace-restrictions") != "true":
        yield AgentFindings.ALLOW_LISTS_IGNORED.format(agent=agent.label)
    if {*agent.flags, *agent.command_line.unknown_values} & OF_KIAMS_SERVER:
        yield AgentFindings.PERMISSION_REQUIRED.format(agent=agent.label)
    if leaves_rule(agent):
        yield AgentFlag.RULE_ON_NODES.format(agent=agent.label)


def leaves_rule(agent: Agent) -> bool:
    """Whether the agent adds a rule to its node that nobody removes; Kiam's does unless it is told to keep it."""
    is_removed = agent.removes_rule or (agent.system != KUBE2IAM and agent.flags.get("iptables-remove") != "false")
    return agent.flags.get("iptables") == "true" and not is_removed
