"""A real API server that calls a real injector, and namespaces for pods."""

import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from kubernetes.config import ConfigException

from testing.cases import ENVIRON, PODS, load_case
from testing.cluster.api import (
    STRATEGIC_MERGE,
    ApiServer,
    RefusedError,
    connect,
    load_configuration,
    wait_for,
)
from testing.cluster.namespaces import Namespaces
from testing.cluster.private import SCRIPTS, PrivateCluster, find_programs, private_cluster
from testing.progress import print_progress
from tests.integration.api_server.guard.policies_of_run import guard_of_run
from tests.integration.api_server.webhooks import Injector, build_configuration, build_selector, run_injector

ENVIRONMENT = dict(os.environ)
"""The environment of the test run: building a cluster can need its proxy settings, which the tests clear."""

HOW_TO_HAVE_ONE = (
    "no Kubernetes API server on this machine: set KUBECONFIG to a cluster whose API server can reach 127.0.0.1 here, "
    f"or have Go 1.25 and the cluster's scripts in {SCRIPTS.parent.name}/{SCRIPTS.name} beside the repository"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests last: the cluster stays up until the end of the run and would slow down other tests."""
    items.sort(key=lambda item: item.path.is_relative_to(Path(__file__).parent))


@pytest.fixture(scope="session")
def kubeconfig(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The cluster of KUBECONFIG, or a private one. PODROLE_TEST_CLUSTER=required: fail without one."""
    given = ENVIRONMENT.get("KUBECONFIG", "")
    if given and is_on_this_machine(given):
        yield given
        return
    data = tmp_path_factory.mktemp("cluster")
    with run_cluster(pytestconfig, data, "control") as cluster:
        yield str(cluster.kubeconfig)


@pytest.fixture(scope="module")
def own_cluster(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateCluster]:
    """A private API server for one module, to stop and start: never the one of KUBECONFIG."""
    with run_cluster(pytestconfig, tmp_path_factory.mktemp("own-cluster"), "api") as cluster:
        yield cluster


@contextmanager
def run_cluster(
    pytestconfig: pytest.Config, data: Path, level: str, version: str | None = None
) -> Iterator[PrivateCluster]:
    """Run a private cluster until the block ends; skip or fail where that is impossible."""
    if SCRIPTS.is_dir() and shutil.which("go"):
        print_progress(pytestconfig, f"starting an API server; its first build takes minutes: {data}/up.log")
        programs = find_programs(ENVIRONMENT, version)
        environ = ENVIRONMENT | ({"K8S": version} if version else {})
        with private_cluster(SCRIPTS, programs, data, environ, level) as cluster:
            yield cluster
    elif ENVIRONMENT.get("PODROLE_TEST_CLUSTER") == "required":
        pytest.fail(HOW_TO_HAVE_ONE)
    else:
        pytest.skip(HOW_TO_HAVE_ONE)


def is_on_this_machine(kubeconfig: str) -> bool:
    """Whether the API server can call a webhook on our loopback. Never use another one: it could be in production."""
    with suppress(ConfigException, OSError):
        host = urlsplit(load_configuration(kubeconfig).host).hostname or ""
        with socket.socket() as probe:
            probe.bind((socket.gethostbyname(host), 0))
        return True
    return False


@pytest.fixture(scope="session")
def api(kubeconfig: str) -> Iterator[ApiServer]:
    """The API server, without our webhook."""
    with connect(kubeconfig) as server:
        yield server


@pytest.fixture(scope="module")
def runtime_classes(api: ApiServer) -> Iterator[None]:
    """Those of the pods in tests/pods: an API server rejects a pod whose RuntimeClass does not exist.

    For the modules that create these pods only: `preflight --probe` runs its pods with each RuntimeClass.
    """
    with create_runtime_classes(api):
        yield


@contextmanager
def create_runtime_classes(api: ApiServer) -> Iterator[None]:
    """Those that it does not have, until the block ends."""
    specs = [load_case(path.stem).pod["spec"] for path in PODS.glob("*.yaml")]
    names = {spec["runtimeClassName"] for spec in specs if "runtimeClassName" in spec}
    missing = sorted(names - {each["metadata"]["name"] for each in api.list("RuntimeClass")})
    for name in missing:
        metadata = {"name": name}
        api.create({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": metadata, "handler": name})
    yield
    for name in missing:
        api.delete("RuntimeClass", name)


@pytest.fixture(scope="session")
def run_label() -> dict[str, str]:
    """The label of this run's namespaces: its webhooks select only those."""
    return {"example.com/test-run": uuid.uuid4().hex[:8]}


@pytest.fixture(scope="session", autouse=True)
def injector(api: ApiServer, run_label: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Injector]:
    """The running injector and the guard, for the pods in labelled namespaces of this run."""
    settings = {**ENVIRON, "KUBECONFIG": api.kubeconfig}
    directory = tmp_path_factory.mktemp("injector")
    with guard_of_run(api, run_label, ENVIRON), run_injector(directory, settings) as running:
        name = f"podrole-injector-{next(iter(run_label.values()))}"
        webhook = {
            "name": "pods.podrole.io",
            "namespaceSelector": build_selector(run_label),
            "reinvocationPolicy": "IfNeeded",
        }
        api.create(build_configuration(name, webhook, running.url, running.certificates.ca))
        try:
            await_injection(api, run_label)
            await_guard(api, run_label)
            yield running
        finally:
            api.delete("MutatingWebhookConfiguration", name)


def await_injection(api: ApiServer, run_label: dict[str, str]) -> None:
    """A new webhook configuration takes effect after about a second."""
    with Namespaces(api, run_label) as namespaces:
        namespace = namespaces.make()
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "try"}}
        pod["spec"] = {"containers": [{"name": "app", "image": "example/app:1"}]}

        def is_injected() -> bool:
            return "initContainers" in api.create(pod, namespace, dry_run=True).object["spec"]

        wait_for("the API server calls the webhook", is_injected)


def await_guard(api: ApiServer, run_label: dict[str, str]) -> None:
    """A new policy takes effect after about a second: then privileged ephemeral containers are refused."""
    with Namespaces(api, run_label) as namespaces:
        namespace = namespaces.make()
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "try"}}
        pod["spec"] = {"containers": [{"name": "app", "image": "example/app:1"}]}
        api.create(pod, namespace)
        debugger = {"name": "tools", "image": "example/tools:1", "securityContext": {"privileged": True}}
        change = {"spec": {"ephemeralContainers": [debugger]}}

        def is_refused() -> bool:
            try:
                api.patch(("Pod", "try/ephemeralcontainers"), change, namespace, how=STRATEGIC_MERGE, dry_run=True)
            except RefusedError:
                return True
            return False

        wait_for("the guard refuses an ephemeral container", is_refused)


@pytest.fixture
def namespaces(api: ApiServer, run_label: dict[str, str]) -> Iterator[Namespaces]:
    """Creates namespaces for a test, and deletes them after it."""
    with Namespaces(api, run_label) as made:
        yield made


@pytest.fixture
def namespace(namespaces: Namespaces) -> str:
    """A namespace in which pods are injected."""
    return namespaces.make()


@pytest.fixture
def node(api: ApiServer) -> Iterator[str]:
    """The name of a node. In a cluster without nodes, a Node object without a kubelet: its pods never run."""
    if nodes := api.list("Node"):
        yield nodes[0]["metadata"]["name"]
        return
    name = f"podrole-{uuid.uuid4().hex[:8]}"
    api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    try:
        yield name
    finally:
        with suppress(RefusedError):
            api.delete("Node", name)
