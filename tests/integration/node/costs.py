"""`make bench-cluster`: start time and memory of an injected pod on a real node, as tables.

Not collected as a test, but it uses the same cluster. The machine runs everything: cluster, STS, pods.
"""

import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.measure import print_table
from tests.integration.api_server.api import ApiServer, connect, wait_for
from tests.integration.node.cluster import POD_WITHIN_SECONDS, Node, build_container, build_pod
from tests.integration.node.conftest import NAMESPACE, await_rollout, fill_in, list_replicas
from tests.integration.node.delay import delaying
from tests.integration.node.store import Store

ROUNDS = 5
SMALL = {"requests": {"cpu": "1m", "memory": "16Mi"}}
SCRIPT = "date +%s.%N; sleep 3600"
STS_SECONDS = 0.1
MEBI = 1024 * 1024
SETTLE_SECONDS = 30
"""The kubelet's metrics are up to 15 s old."""


@pytest.fixture(scope="module")
def api(installed: Node) -> Iterator[ApiServer]:
    with connect(installed.kubectl.kubeconfig) as server:
        yield server


@pytest.fixture(scope="module")
def far_sts(installed: Node, store: Store, overlay: Path) -> Iterator[None]:
    """Delay every response of STS, as if it were on another continent."""

    def install_with(endpoint: str) -> None:
        fill_in(overlay / "settings.env", PODROLE_STS_ENDPOINT=endpoint)
        installed.kubectl.run("apply", "-k", str(overlay))
        await_rollout(installed)

    with delaying(installed.address, store.url, STS_SECONDS) as url:
        install_with(url)
        yield
        install_with(store.url)


def time_starts(node: Node, api: ApiServer, namespace: str, count: int, **spec: Any) -> list[float]:
    """Measure the seconds from the creation request to the app's first command."""
    begun = {}
    for number in range(count):
        name = f"app-{number}"
        container = build_container(SCRIPT, resources=SMALL)
        pod = build_pod(SCRIPT, name=name, role="anybody", containers=[container], **spec)
        begun[name] = time.time()
        api.create(pod, namespace)
    for name in begun:
        wait_for(f"output of {name}", lambda name=name: node.log(name, namespace), POD_WITHIN_SECONDS)  # type: ignore[misc] # the name of this round
    seconds = [float(node.log(name, namespace)) - begin for name, begin in begun.items()]
    node.kubectl.run(f"--namespace={namespace}", "delete", "pods", "--all", "--grace-period=1")
    return seconds


def read_containers(node: Node, namespace: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read the kubelet's metrics of each container in a namespace."""
    name = node.read("nodes")["items"][0]["metadata"]["name"]
    summary = json.loads(node.kubectl.run("get", "--raw", f"/api/v1/nodes/{name}/proxy/stats/summary").output)
    for pod in summary["pods"]:
        if pod["podRef"]["namespace"] == namespace:
            for container in pod.get("containers", []):
                yield container["name"], container


@pytest.mark.usefixtures("far_sts")
def test_start(installed: Node, api: ApiServer, team: str, plain: str) -> None:
    """The baseline: also an init container and a native sidecar, which do nothing."""
    idle = [
        build_container("true", name="first", resources=SMALL),
        build_container("sleep 3600", name="second", resources=SMALL, restartPolicy="Always"),
    ]
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "without injection": (plain, {}),
        "the baseline": (plain, {"initContainers": idle}),
        "with injection": (team, {}),
    }
    rows = {}
    for count in (1, 20):
        for name, (namespace, spec) in kinds.items():
            rounds = range(ROUNDS if count == 1 else 1)
            seconds = [each for _ in rounds for each in time_starts(installed, api, namespace, count, **spec)]
            rows[f"{count} at a time, {name}"] = f"{statistics.median(seconds):.2f}, at most {max(seconds):.2f}"

    print_table(f"created to app started, STS at {STS_SECONDS * 1000:.0f} ms, seconds, medians", rows)


def test_memory(installed: Node, team: str) -> None:
    for number in range(5):
        pod = build_pod("sleep 3600", name=f"app-{number}", role="anybody")
        installed.apply(pod, team)
    for number in range(5):
        installed.await_ready(f"pod/app-{number}", team)
    time.sleep(SETTLE_SECONDS)

    found = [*read_containers(installed, team), *read_containers(installed, NAMESPACE)]
    rows = {}
    for name in ("podrole-sidecar", "injector"):
        sets = [each["memory"]["workingSetBytes"] / MEBI for which, each in found if which == name]
        residents = [each["memory"].get("rssBytes", 0) / MEBI for which, each in found if which == name]
        assert sets, f"the kubelet has no metrics of {name}"
        rows[f"{name}, working set"] = f"{statistics.median(sets):.1f}"
        rows[f"{name}, rss"] = f"{statistics.median(residents):.1f}"

    print_table("memory as the kubelet reports it, MiB, medians", rows)


def test_injector_cpu(installed: Node, api: ApiServer, team: str) -> None:
    replicas = len(list_replicas(installed))

    def read_cpu() -> float:
        found = [each for name, each in read_containers(installed, NAMESPACE) if name == "injector"]
        return sum(float(each["cpu"]["usageCoreNanoSeconds"]) for each in found) / 1e9

    time.sleep(SETTLE_SECONDS)
    idle, begin = read_cpu(), time.monotonic()
    time.sleep(SETTLE_SECONDS)
    after_idle = read_cpu()
    quiet = (after_idle - idle) / (time.monotonic() - begin)
    count = 500
    for _ in range(count):
        api.create(build_pod("true", role="anybody"), team, dry_run=True)
    time.sleep(SETTLE_SECONDS)
    used = read_cpu() - after_idle - quiet * SETTLE_SECONDS

    rows = {
        f"{replicas} replicas, idle, millicores": f"{quiet * 1000:.1f}",
        "one pod, of two reviews, ms": f"{used / count * 1000:.2f}",
    }
    print_table("CPU of the injector", rows)
