"""Writes settings of kube2iam and Kiam as a `settings.env` for podrole's kustomize overlays.

What others wrote in the cluster becomes a value only if podrole's setting accepts it; comments quote it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import contract
from contract.settings import find_problem, list_settings
from contract.text import quote
from injector.config import Config
from injector.contradictions import find_contradictions
from injector.k8s.objects import Object, parse_metadata
from podrole.diagnosis.agents.check import explain_agent
from podrole.diagnosis.agents.flags import KUBE2IAM, AgentFlag, list_flags
from podrole.diagnosis.agents.recognition import Agent
from podrole.findings import Finding, limit_findings

REGION = "PODROLE_REGION"
ACCOUNT_ID = "PODROLE_ACCOUNT_ID"
BASE_ROLE_ARN = "PODROLE_BASE_ROLE_ARN"
FORMAT = "PODROLE_ALLOWED_ROLES_FORMAT"

FORMAT_FLAG = "namespace-restriction-format"

SETTINGS = {one.variable: one for one in list_settings(Config).values()}
REGION_LABEL = "topology.kubernetes.io/region"
WHOLE_ACCOUNT = re.compile(r"arn:[\w-]+:iam::(\d{12}):role/")
MAX_COMMENT = 1000
MAX_SOURCES = 10
"""Places of one value that are named."""

CARRIED = {
    AgentFlag.BASE_ROLE_ARN.code,
    AgentFlag.DISCOVERED_BASE_ROLE_ARN.code,
    AgentFlag.ALLOW_LIST_FORMAT.code,
    AgentFlag.REGION.code,
}
"""The findings about what the file has a line for."""

HOW_TO_FIND = {
    REGION: "the region of the cluster",
    ACCOUNT_ID: "aws sts get-caller-identity --query Account --output text",
}


class Found(NamedTuple):
    """A value of one variable, and where it is from."""

    variable: str
    value: str
    source: str


def format_settings(agents: Sequence[Agent], nodes: Iterable[Object]) -> str:
    """Format the file; it ends with what could not be carried over."""
    labels = sorted({agent.label for agent in agents})
    origin = f"from {', '.join(labels[:MAX_SOURCES])}" if labels else "; there is no kube2iam and no Kiam"
    lines = [
        _comment(f"Settings of podrole {contract.VERSION} {origin}. Check the source of each line."),
        *_format_values([*_find_values(agents, nodes)]),
    ]
    if others := [*_list_others(agents)]:
        lines += ["", _comment("Not carried over:")]
    for finding in others:
        lines += [_comment(f"- {finding.text}"), *(_comment(f"  > {line}") for line in finding.remedy.splitlines())]
    return "\n".join(lines) + "\n"


def _list_others(agents: Iterable[Agent]) -> list[Finding]:
    findings = (finding for agent in agents for finding in explain_agent(agent))
    return limit_findings(finding for finding in findings if finding.code not in CARRIED)


def _find_values(agents: Iterable[Agent], nodes: Iterable[Object]) -> Iterator[Found]:
    found = [one for agent in agents for one in _read_agent(agent)]
    yield from found
    if not any(one.variable == REGION for one in found):
        regions = {parse_metadata(node).labels.get(REGION_LABEL) for node in nodes} - {None}
        yield from (
            Found(REGION, str(region), f"label {REGION_LABEL} of the nodes") for region in sorted(map(str, regions))
        )


def _read_agent(agent: Agent) -> Iterator[Found]:
    region = agent.flags.get("region")
    if region:
        yield Found(REGION, region, f"{agent.label}: --region")
    else:
        names = [name for name in ("AWS_REGION", "AWS_DEFAULT_REGION") if agent.environ.get(name)]
        yield from (Found(REGION, agent.environ[name], f"{agent.label}: {name}") for name in names[:1])
    for flag in list_flags(AgentFlag.BASE_ROLE_ARN):
        if prefix := agent.flags.get(flag):
            is_completed = agent.system == KUBE2IAM and not prefix.endswith("/")
            yield _build_prefix(f"{prefix}/" if is_completed else prefix, f"{agent.label}: --{flag}={prefix}")
    if (value := agent.flags.get(FORMAT_FLAG)) and agent.flags.get("namespace-restrictions") == "true":
        yield Found(FORMAT, value, f"{agent.label}: --{FORMAT_FLAG}={value}")


def _build_prefix(prefix: str, source: str) -> Found:
    whole = WHOLE_ACCOUNT.fullmatch(prefix)
    return Found(ACCOUNT_ID, whole[1], source) if whole else Found(BASE_ROLE_ARN, prefix, source)


def _format_values(found: Sequence[Found]) -> Iterator[str]:
    """Yield the lines of each variable, with what is wrong about it."""
    prefixes = [one for one in found if one.variable in {ACCOUNT_ID, BASE_ROLE_ARN}]
    groups = [
        (REGION, [one for one in found if one.variable == REGION]),
        (prefixes[0].variable if prefixes else ACCOUNT_ID, prefixes),
        (FORMAT, [one for one in found if one.variable == FORMAT]),
    ]
    environ: dict[str, str] = {}
    for variable, group in groups:
        if group or variable in HOW_TO_FIND:
            yield ""
            yield from _format_group(variable, group, environ)


def _format_group(variable: str, group: Sequence[Found], environ: dict[str, str]) -> Iterator[str]:
    for one in group[:MAX_SOURCES]:
        yield _comment(one.source)
    if not group:
        yield _comment(f"No agent has it. Find it by: {HOW_TO_FIND[variable]}")
        yield _comment(f"{variable}=")
    elif len({(one.variable, one.value) for one in group}) > 1:
        yield _comment("These differ: choose one.")
        yield from dict.fromkeys(_comment(f"{one.variable}={one.value}") for one in group[:MAX_SOURCES])
    elif problem := _find_problem(variable, group[0].value, environ):
        yield _comment(f"Not possible in podrole: {problem}")
    else:
        environ[variable] = group[0].value
        yield f"{variable}={group[0].value}"


def _find_problem(variable: str, value: str, environ: Mapping[str, str]) -> str | None:
    problem = find_problem(SETTINGS[variable], value, sts_endpoint=None)
    if problem:
        return f"{variable} is {problem}"
    return next(find_contradictions({**environ, variable: value}), None)


def _comment(text: str) -> str:
    return f"# {quote(text, MAX_COMMENT)}"
