"""podrole and the estate on a private API server with controllers and without nodes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.cluster.api import connect
from testing.cluster.manifests import Kubectl
from tests.integration.api_server.conftest import run_cluster
from tests.integration.estate.fake_node import fake_node
from tests.integration.estate.installation import EstateCluster, apply_estate, delete_estate, install


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests last: their cluster stays up until the end, and would slow down other tests."""
    items.sort(key=lambda item: item.path.is_relative_to(Path(__file__).parent))


@pytest.fixture(scope="session")
def installation(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EstateCluster]:
    """Never the cluster of KUBECONFIG: these tests use the names of a real installation and of the estate."""
    directory = tmp_path_factory.mktemp("estate")
    with run_cluster(pytestconfig, tmp_path_factory.mktemp("estate-cluster"), "control") as private:
        program = shutil.which("kubectl") or str(private.programs / "bin" / "kubectl")
        kubectl = Kubectl(program, str(private.kubeconfig), directory)
        with connect(kubectl.kubeconfig) as api, install(api, kubectl, directory) as cluster, fake_node(api):
            yield cluster


@pytest.fixture(scope="module")
def estate(installation: EstateCluster) -> EstateCluster:
    """The estate as it was committed, whatever the tests of another file did to it."""
    delete_estate(installation.kubectl)
    apply_estate(installation.kubectl)
    return installation
