"""`make bench-cluster`: what injected pods cost on a real node, as tables.

Not collected as a test, but it uses the same cluster. The machine runs everything: cluster, STS, pods.
PODROLE_TEST_OTHER_SIDECAR is the path to an archive of another sidecar image (images/out of another version), which is
measured in turns with this version's.
"""

import json
import statistics
import tarfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bench.measure import compare_with_budgets, print_table
from contract import SIDECAR_CONTAINER
from testing.cluster.api import ApiServer, connect
from tests.integration.api_server.conftest import ENVIRONMENT
from tests.integration.node.cluster import Node, build_container, build_pod
from tests.integration.node.conftest import await_rollout, fill_in, list_replicas
from tests.integration.node.delay import delaying
from tests.integration.node.kubelet import SETTLE_SECONDS, Usage, measure_usage, read_cpu, read_injectors, read_memory
from tests.integration.node.store import Store

ROUNDS = {1: 5, 20: 1, 50: 1}
"""Pods at once -> rounds. Everything takes about ten minutes on two cores."""

MEASURED_COUNT = 20
"""So many pods at once also tell CPU time and memory."""

PODS_WITHIN_SECONDS = 240
POLL_SECONDS = 0.5
SMALL = {"requests": {"cpu": "1m", "memory": "16Mi"}}
SCRIPT = "date +%s.%N; sleep 3600"
STS_SECONDS = 0.1
BASELINE, INJECTED = "the baseline", "injected"
IDLE = [
    build_container("true", name="first", resources=SMALL),
    build_container("sleep 3600", name="second", resources=SMALL, restartPolicy="Always"),
]
"""The baseline has them: an init container and a native sidecar, which do nothing."""


class Kind(NamedTuple):
    """A kind of pod to measure."""

    namespace: str
    spec: Mapping[str, Any]
    archive: Path | None = None
    """The sidecar's image."""

    most: int = max(ROUNDS)
    """Pods at once, at most."""


class Round(NamedTuple):
    """Pods that were created at once: seconds until each app's first command, and until the last one's."""

    seconds: list[float]
    until_last: float
    image: str | None
    """The id of the sidecar's image."""

    usage: Usage | None


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


@pytest.fixture
def kinds(installed: Node, images: list[Path], team: str, plain: str) -> Iterator[dict[str, Kind]]:
    """Injected pods differ in the image that the name of the sidecar's image stands for."""
    found = {
        "without injection": Kind(plain, {}, most=MEASURED_COUNT),
        BASELINE: Kind(plain, {"initContainers": IDLE}),
    }
    [this] = [archive for archive in images if archive.name == "podrole-sidecar.tar"]
    if other := ENVIRONMENT.get("PODROLE_TEST_OTHER_SIDECAR"):
        found[f"{INJECTED}, {other}"] = Kind(team, {}, Path(other))
    found[INJECTED] = Kind(team, {}, this)
    yield found
    installed.load_image(this)


def read_image_id(archive: Path) -> str:
    """The id of the one image in an archive."""
    with tarfile.open(archive) as files:
        manifest = files.extractfile("manifest.json")
        assert manifest, f"{archive} has no manifest"
        return str(json.load(manifest)[0]["Config"])


def run_round(node: Node, api: ApiServer, kind: Kind, count: int) -> Round:
    """Create pods at once, measure them, and delete them."""
    if kind.archive:
        node.load_image(kind.archive)
    created = create_pods(api, kind, count)
    image = await_started(api, kind.namespace, count)
    begun = {name: read_first_line(api, kind.namespace, name) for name in created}
    seconds = [begun[name] - began for name, began in created.items()]
    usage = measure_usage(node, kind.namespace) if count == MEASURED_COUNT else None
    node.kubectl.run(f"--namespace={kind.namespace}", "delete", "pods", "--all", "--grace-period=1")
    return Round(seconds, max(begun.values()) - min(created.values()), image, usage)


def create_pods(api: ApiServer, kind: Kind, count: int) -> dict[str, float]:
    """Create them; return when, by name."""
    created = {}
    for number in range(count):
        name = f"app-{number}"
        container = build_container(SCRIPT, resources=SMALL)
        pod = build_pod(SCRIPT, name=name, role="anybody", containers=[container], **kind.spec)
        created[name] = time.time()
        api.create(pod, kind.namespace)
    return created


def await_started(api: ApiServer, namespace: str, count: int) -> str | None:
    """Wait until the apps of all pods run; return the id of their sidecars' image."""
    deadline = time.monotonic() + PODS_WITHIN_SECONDS
    while True:
        statuses = [pod["status"] for pod in api.list("Pod", namespace)]
        started = [each for status in statuses for each in status.get("containerStatuses", []) if each["started"]]
        if len(started) == count:
            break
        assert time.monotonic() < deadline, f"{len(started)} of {count} pods started in {PODS_WITHIN_SECONDS} s"
        time.sleep(POLL_SECONDS)
    sidecars = [each for status in statuses for each in status.get("initContainerStatuses", [])]
    images = {each["imageID"] for each in sidecars if each["name"] == SIDECAR_CONTAINER}
    assert len(images) <= 1, f"the pods run different sidecars: {images}"
    return next(iter(images), None)


def read_first_line(api: ApiServer, namespace: str, name: str) -> float:
    """The time that the app has logged."""
    url = f"{api.host}/api/v1/namespaces/{namespace}/pods/{name}/log?container=app"
    return float(api.request("GET", url).data)


@pytest.mark.usefixtures("far_sts")
def test_pods(installed: Node, api: ApiServer, kinds: dict[str, Kind]) -> None:
    starts: dict[str, str] = {}
    lasts: dict[tuple[int, str], float] = {}
    usages: dict[str, Usage] = {}
    images: set[str] = set()
    for count, rounds in ROUNDS.items():
        chosen = {name: kind for name, kind in kinds.items() if kind.most >= count}
        measured: dict[str, list[Round]] = {name: [] for name in chosen}
        for _ in range(rounds):
            for name, kind in chosen.items():
                measured[name].append(run_round(installed, api, kind, count))
        for name, found in measured.items():
            median = statistics.median(each for one in found for each in one.seconds)
            last = lasts[count, name] = statistics.median(one.until_last for one in found)
            starts[f"{count} at once, {name}"] = f"median {median:5.2f}, the last {last:5.2f} s"
            usages |= {f"one of {count} pods, {name}": one.usage for one in found if one.usage}
            images |= {one.image for one in found if one.image}

    print_table(f"created to app started, STS at {STS_SECONDS * 1000:.0f} ms", starts)
    print_table("usage as the kubelet reports it, medians", usages)
    archives = {kind.archive for kind in kinds.values() if kind.archive}
    assert len(images) == len({read_image_id(archive) for archive in archives}), f"only these sidecars ran: {images}"
    figures = {f"{count} at once / baseline": lasts[count, INJECTED] / lasts[count, BASELINE] for count in ROUNDS}
    assert compare_with_budgets("kubelet", figures) == 0, "a figure is over budget"


def test_injector(installed: Node, api: ApiServer, team: str) -> None:
    replicas, count = len(list_replicas(installed)), 500
    time.sleep(SETTLE_SECONDS)
    idle, begin = read_cpu(installed), time.monotonic()
    time.sleep(SETTLE_SECONDS)
    after_idle = read_cpu(installed)
    quiet = (after_idle - idle) / (time.monotonic() - begin)
    began = time.monotonic()
    for _ in range(count):
        api.create(build_pod("true", role="anybody"), team, dry_run=True)
    time.sleep(SETTLE_SECONDS)
    used = read_cpu(installed) - after_idle - quiet * (time.monotonic() - began)

    rows = {
        f"{replicas} replicas, idle, millicores": f"{quiet * 1000:.1f}",
        "CPU of one pod, of two reviews, ms": f"{used / count * 1000:.2f}",
        "memory of one replica, MiB": f"{statistics.median(map(read_memory, read_injectors(installed))):.1f}",
    }
    print_table("the injector as the kubelet reports it", rows)
