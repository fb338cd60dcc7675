"""The kubelet's metrics of pods and containers."""

import json
import statistics
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from contract import SIDECAR_CONTAINER
from tests.integration.node.cluster import Node
from tests.integration.node.conftest import NAMESPACE

MEBI = 1024 * 1024
SETTLE_SECONDS = 25
"""The kubelet's metrics are up to 15 s old, and it takes them in turns."""


class Usage(NamedTuple):
    """The median of the pods."""

    cpu_seconds: float
    pod_mebibytes: float
    sidecar_mebibytes: float

    def __str__(self) -> str:
        sidecar = f", its sidecar {self.sidecar_mebibytes:.1f} MiB" if self.sidecar_mebibytes else ""
        return f"CPU {self.cpu_seconds:.2f} s, memory {self.pod_mebibytes:.1f} MiB{sidecar}"


def measure_usage(node: Node, namespace: str) -> Usage:
    """CPU seconds and memory of the pods' cgroups since their creation, so with the containers that have ended."""
    time.sleep(SETTLE_SECONDS)
    pods = read_pods(node, namespace)
    sidecars = [each for pod in pods for each in pod["containers"] if each["name"] == SIDECAR_CONTAINER]
    return Usage(
        statistics.median(pod["cpu"]["usageCoreNanoSeconds"] / 1e9 for pod in pods),
        statistics.median(read_memory(pod) for pod in pods),
        statistics.median(read_memory(each) for each in sidecars) if sidecars else 0,
    )


def read_pods(node: Node, namespace: str) -> list[dict[str, Any]]:
    """Read the kubelet's metrics of the pods in a namespace."""
    name = node.read("nodes")["items"][0]["metadata"]["name"]
    summary = json.loads(node.kubectl.run("get", "--raw", f"/api/v1/nodes/{name}/proxy/stats/summary").output)
    return [pod for pod in summary["pods"] if pod["podRef"]["namespace"] == namespace]


def read_memory(measured: Mapping[str, Any]) -> float:
    """The working set of a pod or container, in MiB."""
    return float(measured["memory"]["workingSetBytes"]) / MEBI


def read_injectors(node: Node) -> list[dict[str, Any]]:
    """The kubelet's metrics of the injector's containers."""
    return [each for pod in read_pods(node, NAMESPACE) for each in pod["containers"] if each["name"] == "injector"]


def read_cpu(node: Node) -> float:
    """The CPU seconds of all injectors."""
    return sum(float(each["cpu"]["usageCoreNanoSeconds"]) for each in read_injectors(node)) / 1e9
