"""Two replicas of the injector, each with the memory limit of its container, and a good and a hostile user."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testing.cluster.api import ApiServer, connect
from testing.cluster.manifests import Kubectl
from testing.cluster.namespaces import Namespaces
from testing.cluster.private import PrivateCluster
from testing.cluster.rbac_users import create_user
from testing.hostile.good_tenant import User
from testing.hostile.installation import Installation, await_injection, install
from testing.hostile.replica import Replica, read_memory_limit
from testing.memory_cgroup import NoCgroupError, memory_cgroup
from tests.integration.api_server.conftest import run_cluster

pytest.register_assert_rewrite("tests.integration.api_server.hostile.bounds")

RESOURCES = ["namespaces", "pods", "pods/ephemeralcontainers", "serviceaccounts"]
RULES = [
    {"apiGroups": [""], "resources": RESOURCES, "verbs": ["*"]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["*"]},
]


@pytest.fixture(scope="session", autouse=True)
def injector() -> None:
    """None that all tests share: here each module starts its own."""


@pytest.fixture(scope="session")
def hostile_cluster(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateCluster]:
    """A private cluster: these tests use the names of a real installation, and fill etcd."""
    try:
        with memory_cgroup(read_memory_limit()):
            pass
    except NoCgroupError as error:
        pytest.skip(str(error))
    with run_cluster(pytestconfig, tmp_path_factory.mktemp("hostile"), "control") as running:
        yield running


@pytest.fixture(scope="session")
def api(hostile_cluster: PrivateCluster) -> Iterator[ApiServer]:
    """The API server, as its administrator."""
    with connect(str(hostile_cluster.kubeconfig)) as server:
        yield server


@pytest.fixture(scope="session")
def kubectl(hostile_cluster: PrivateCluster, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """kubectl as the administrator."""
    program = shutil.which("kubectl") or str(hostile_cluster.programs / "bin" / "kubectl")
    return Kubectl(program, str(hostile_cluster.kubeconfig), tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def installation(api: ApiServer, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The manifests, without running replicas."""
    with install(api, kubectl, tmp_path_factory.mktemp("installation")) as installed:
        yield installed


@pytest.fixture(scope="session")
def good(api: ApiServer, run_label: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """A user of one namespace."""
    with make_user(api, run_label, tmp_path_factory.mktemp("good")) as user:
        yield user


@pytest.fixture(scope="session")
def hostile(api: ApiServer, run_label: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """A user of another namespace."""
    with make_user(api, run_label, tmp_path_factory.mktemp("hostile-user")) as user:
        yield user


@contextmanager
def make_user(api: ApiServer, run_label: dict[str, str], directory: Path) -> Iterator[User]:
    """A user with a namespace, until the block ends."""
    with Namespaces(api, run_label) as namespaces:
        namespace = namespaces.make()
        with connect(str(create_user(api, namespace, RULES, directory))) as user_api:
            yield User(user_api, namespace)


@pytest.fixture(scope="module")
def replicas(
    installation: Installation, good: User, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Replica]]:
    """Both replicas, running and ready."""
    with installation.run(tmp_path_factory.mktemp("replicas")) as running:
        await_injection(good.api, good.namespace)
        yield running
