"""A private API server with controllers, on which podrole is installed as a user would: no node, so nothing runs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.api_server.conftest import run_cluster
from tests.integration.api_server.private import PrivateCluster
from tests.integration.kustomize.exposed import INJECTOR, SIDECAR, Families, read_injector, read_sidecar
from tests.integration.kustomize.manifests import KUSTOMIZE, Kubectl


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Come last: the cluster stays up until the end of the run, and no other test shall share the machine with it."""
    items.sort(key=lambda item: item.path.is_relative_to(Path(__file__).parent))


@pytest.fixture(scope="session")
def private(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateCluster]:
    """Never the cluster of KUBECONFIG: names of our own installation are taken here."""
    with run_cluster(pytestconfig, tmp_path_factory.mktemp("kustomize"), "control") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kubectl(private: PrivateCluster, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """The machine's kubectl, or the one that was built with the cluster."""
    program = shutil.which("kubectl") or str(private.programs / "bin" / "kubectl")
    return Kubectl(program, str(private.kubeconfig), tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def installed(kubectl: Kubectl) -> Kubectl:
    """The cluster after `kubectl apply -k` of one overlay."""
    kubectl.run("apply", "-k", str(KUSTOMIZE / "overlays" / "eks"))
    return kubectl


@pytest.fixture
def exposed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Families]:
    """The metrics of both processes, by the job that they are scraped as."""
    return {INJECTOR: read_injector(monkeypatch), SIDECAR: read_sidecar()}
