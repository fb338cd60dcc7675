"""Finds the workloads of kube2iam and Kiam, by name or image, and reads their command lines."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from injector.k8s.objects import Object, read_mapping, read_name, read_objects
from podrole.diagnosis.agents.arguments import CommandLine, read_command_line
from podrole.diagnosis.agents.flags import KIAM, KNOWN, KUBE2IAM
from podrole.diagnosis.state.installed_config import read_container_env

PATTERNS = {KUBE2IAM: re.compile("kube2iam"), KIAM: re.compile("kiam")}
"""In the name of the workload or of an image."""


CREDENTIAL_VARIABLES = {"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_ACCESS_KEY_ID"}
"""Of IRSA, of EKS Pod Identity, and keys of a user: pods that have one do not ask an agent."""


class Agent(NamedTuple):
    """A workload of one of these systems."""

    system: str
    label: str
    """Kind, namespace and name."""

    command_line: CommandLine
    environ: Mapping[str, str]
    removes_rule: bool
    """Whether a preStop hook removes the rule on the node."""

    @property
    def flags(self) -> Mapping[str, str]:
        """By name, without dashes."""
        return self.command_line.flags

    def may_have(self, flag: str) -> bool:
        """Whether a flag is set, or its value is not known."""
        return flag in self.command_line.unknown_values or self.flags.get(flag, "") not in {"", "false"}


def recognise(workload: Object) -> str | None:
    """Name the system that a workload belongs to."""
    images = [str(container.get("image")) for container in _read_containers(workload)]
    names = [read_name(read_mapping(workload, "metadata")), *images]
    return next((system for system, one in PATTERNS.items() if any(map(one.search, names))), None)


def find_agents(kind: str, workloads: Iterable[Object], config_maps: Iterable[Object]) -> Iterator[Agent]:
    """Read the workloads that belong to one of the systems; `config_maps` are those that they refer to.

    `kind` is that of all workloads: the objects of a list do not have it.
    """
    by_namespace: dict[str, list[Object]] = {}
    for one in config_maps:
        by_namespace.setdefault(str(read_mapping(one, "metadata").get("namespace")), []).append(one)
    for workload in workloads:
        if system := recognise(workload):
            namespace = str(read_mapping(workload, "metadata").get("namespace"))
            label = f"{kind} {namespace}/{read_name(read_mapping(workload, 'metadata'))}"
            yield _read_agent(system, label, workload, by_namespace.get(namespace, []))


def _read_agent(system: str, label: str, workload: Object, config_maps: Iterable[Object]) -> Agent:
    containers = [*_read_containers(workload)]
    named = [one for one in containers if any(map(PATTERNS[system].search, (str(one.get("image")), read_name(one))))]
    container = next(iter([*named, *containers]), {})
    environ = read_container_env(container, workload, config_maps).environ
    hook = str(read_mapping(read_mapping(container, "lifecycle"), "preStop"))
    return Agent(system, label, read_command_line(container, environ, KNOWN), environ, "iptables" in hook)


def _read_containers(workload: Object) -> Iterator[Object]:
    spec = read_mapping(read_mapping(read_mapping(workload, "spec"), "template"), "spec")
    yield from read_objects(spec, "containers")
