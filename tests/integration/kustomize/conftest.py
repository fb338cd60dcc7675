"""kubectl, to render manifests and to install podrole on a private API server with controllers and without nodes."""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testing.cluster.manifests import KUSTOMIZE, Kubectl
from testing.cluster.private import PrivateCluster
from tests.integration.api_server.conftest import run_cluster
from tests.integration.kustomize.exported_metrics import INJECTOR, SIDECAR, Families, read_injector, read_sidecar


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests last: their cluster stays up until the end, and would slow down other tests."""
    items.sort(key=lambda item: item.path.is_relative_to(Path(__file__).parent))


@pytest.fixture(scope="session")
def private(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateCluster]:
    """Never the cluster of KUBECONFIG: these tests use the names of a real installation."""
    with run_cluster(pytestconfig, tmp_path_factory.mktemp("kustomize"), "control") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kubectl(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """kubectl without a cluster, to render manifests: from PATH, else the one that was built with the cluster."""
    program = shutil.which("kubectl") or str(request.getfixturevalue("private").programs / "bin" / "kubectl")
    return Kubectl(program, os.devnull, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def installed(kubectl: Kubectl, private: PrivateCluster) -> Kubectl:
    """kubectl with a cluster after `kubectl apply -k` of one overlay."""
    kubectl = replace(kubectl, kubeconfig=str(private.kubeconfig))
    kubectl.run("apply", "-k", str(KUSTOMIZE / "overlays" / "eks"))
    return kubectl


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> dict[str, Families]:
    """The metrics of both processes, by their `job` label."""
    return {INJECTOR: read_injector(monkeypatch), SIDECAR: read_sidecar()}


@pytest.fixture
def promtool() -> str:
    """From PATH, or from the virtual environment, where requirements/install.sh puts it."""
    beside = str(Path(sys.executable).parent)
    if found := shutil.which("promtool", path=os.pathsep.join((os.environ.get("PATH", os.defpath), beside))):
        return found
    reason = "promtool is not installed: `make test` extracts it from Debian's package prometheus"
    if os.environ.get("CI") == "true" or Path(sys.prefix, "dev.done").exists():  # `make test` was run
        pytest.fail(reason)
    pytest.skip(reason)
