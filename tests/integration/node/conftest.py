"""podrole as a user installs it, on a cluster that runs pods, with an STS that verifies the cluster's tokens."""

import base64
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from contract import SIDECAR_CONTAINER, TOKEN_VOLUME
from testing.cluster.api import wait_for
from testing.cluster.manifests import KUSTOMIZE, Kubectl, Manifest
from testing.cluster.private import SCRIPTS, find_programs, private_cluster
from testing.progress import print_progress
from testing.services.programs import imds
from tests.integration.api_server.conftest import ENVIRONMENT
from tests.integration.node.cluster import ENABLED, Node, build_pod
from tests.integration.node.images import build_images
from tests.integration.node.store import TEAM_A, Store, run_store

HOW_TO_HAVE_ONE = (
    "no cluster that runs pods: be root on a machine with Go 1.25 and the cluster's scripts in "
    f"{SCRIPTS.parent.name}/{SCRIPTS.name} beside the repository; or set KUBECONFIG, PODROLE_TEST_ADDRESS (of this "
    "machine, as pods reach it) and PODROLE_TEST_LOAD (the command that loads an image's archive into the nodes)"
)
PRIVATE_ADDRESS = "10.244.0.1"
BRIDGE = Path("/sys/class/net/testcluster0")
METADATA_ADDRESS = "169.254.169.254"
NAMESPACE = "podrole-system"
WALKTHROUGH = "test_walkthrough.py"
SHORTEST_TOKEN_SECONDS = 600
READ_TOKEN = "import contract; print(open(contract.TOKEN_FILE).read())"
REPLICAS = 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these last, as the cluster stays up until the end of the run; the walk-through first, in an empty cluster."""
    items.sort(key=lambda item: (item.path.is_relative_to(Path(__file__).parent), item.path.name != WALKTHROUGH))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add a description of the pods to the report of a failed test."""
    report = yield
    arguments = getattr(item, "funcargs", {})
    if report.failed and "node" in arguments:
        namespaces = [NAMESPACE, *(arguments[name] for name in ("team", "team_a", "plain") if name in arguments)]
        descriptions = map(arguments["node"].describe, namespaces)
        report.sections.append(("the cluster", "\n".join(descriptions)))
    return report


@pytest.fixture(scope="session")
def node(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """The cluster of KUBECONFIG, or one that is started for this run."""
    home = tmp_path_factory.mktemp("home")
    given = {name: ENVIRONMENT.get(name, "") for name in ("KUBECONFIG", "PODROLE_TEST_ADDRESS", "PODROLE_TEST_LOAD")}
    if ENVIRONMENT.get("PODROLE_TEST_CLUSTER") != "required":
        pytest.skip("pods on a real node are for `make test-cluster` (PODROLE_TEST_CLUSTER=required)")
    if all(given.values()):
        kubectl = Kubectl(shutil.which("kubectl") or "kubectl", given["KUBECONFIG"], home)
        yield Node(kubectl, given["PODROLE_TEST_ADDRESS"], given["PODROLE_TEST_LOAD"].split(), ENVIRONMENT)
        return
    if not (SCRIPTS.is_dir() and shutil.which("go") and os.geteuid() == 0):
        pytest.fail(HOW_TO_HAVE_ONE)
    if BRIDGE.exists():
        pytest.fail("another cluster runs pods on this machine, and there can be only one: stop it (down.sh)")
    data = tmp_path_factory.mktemp("node")
    print_progress(
        pytestconfig, f"starting a cluster with a node; the first time, building it takes minutes (log: {data}/up.log)"
    )
    with private_cluster(SCRIPTS, find_programs(ENVIRONMENT), data, ENVIRONMENT, "node") as cluster:
        program = shutil.which("kubectl") or str(cluster.programs / "bin" / "kubectl")
        load = ["ctr", "--namespace=k8s.io", "images", "import"]
        socket = {"CONTAINERD_ADDRESS": str(data / "data" / "containerd" / "containerd.sock")}
        kubectl = Kubectl(program, str(cluster.kubeconfig), home)
        yield Node(kubectl, PRIVATE_ADDRESS, load, {**ENVIRONMENT, **socket}, cluster)


@pytest.fixture(scope="session")
def images(node: Node, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Load podrole's images and the app's into the nodes; return their archives.

    PODROLE_TEST_ARCHIVES: a folder with archives built before.
    """
    given = ENVIRONMENT.get("PODROLE_TEST_ARCHIVES")
    if given:
        archives = sorted(Path(given).glob("*.tar"))
    else:
        print_progress(pytestconfig, "building the images")
        archives = build_images(tmp_path_factory.mktemp("images"), ENVIRONMENT)
    for archive in archives:
        node.load_image(archive)
    return archives


@pytest.fixture(scope="session")
def store(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """An STS and S3 that verify the tokens of this cluster's issuer."""
    directory = tmp_path_factory.mktemp("store")
    issuer = json.loads(node.kubectl.run("get", "--raw", "/.well-known/openid-configuration").output)["issuer"]
    ca_file = directory / "ca.pem"
    config = node.kubectl.run("config", "view", "--raw", "--flatten", "--output=jsonpath={.clusters[0].cluster}").output
    ca_file.write_bytes(_decode(json.loads(config)["certificate-authority-data"]))
    with run_store(directory, node.address, issuer, ca_file) as running:
        yield running


def _decode(text: str) -> bytes:
    return base64.b64decode(text)


@pytest.fixture(scope="session")
def overlay(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The overlay for this store, with its settings and images."""
    copy = tmp_path_factory.mktemp("install") / "kustomize"
    shutil.copytree(KUSTOMIZE, copy)
    overlay = copy / "overlays" / "outside-aws"
    fill_in(
        overlay / "settings.env",
        PODROLE_STS_ENDPOINT=store.url,
        PODROLE_AWS_ENDPOINT_URL=store.url,
        PODROLE_ACCOUNT_ID="111122223333",
    )
    fill_in(
        overlay / "images.env", injector="localhost/podrole-injector:0.1.0", sidecar="localhost/podrole-sidecar:0.1.0"
    )
    return overlay


@pytest.fixture(scope="session")
def installed(node: Node, images: list[Path], overlay: Path) -> Node:  # noqa: ARG001 - loads them into the nodes
    """podrole, installed by `kubectl apply -k`."""
    node.kubectl.run("apply", "-k", str(overlay))
    await_rollout(node)
    return node


@pytest.fixture(scope="session")
def reapply(installed: Node, overlay: Path) -> Callable[[], None]:
    """Applies the overlay again, as an upgrade does."""

    def run() -> None:
        installed.kubectl.run("apply", "-k", str(overlay))
        await_rollout(installed)

    return run


def fill_in(file: Path, **values: str) -> None:
    """Set keys in a file of the overlay; keep its other lines."""
    lines = file.read_text().splitlines()
    kept = [f"{key}={values.pop(key)}" if (key := line.partition("=")[0]) in values else line for line in lines]
    assert not values, f"{file.name} has no {values}"
    file.write_text("\n".join(kept) + "\n")


def await_rollout(node: Node) -> None:
    """Wait until all replicas are updated and ready, and the old ones, which serve until they end, are gone."""
    node.kubectl.run(f"--namespace={NAMESPACE}", "rollout", "status", "deployment/podrole-injector", "--timeout=110s")
    wait_for("the end of the old replicas", lambda: len(list_replicas(node)) == REPLICAS, 90)


def list_replicas(node: Node) -> list[Manifest]:
    """The injector's pods."""
    selector = "--selector=app.kubernetes.io/component=injector"
    answer = node.kubectl.run(f"--namespace={NAMESPACE}", "get", "pods", selector, "--output=json")
    items: list[Manifest] = json.loads(answer.output)["items"]
    return items


@pytest.fixture(scope="session")
def metadata(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:  # noqa: ARG001 - after it
    """A fake of the node's metadata service with the node's role, at the real address."""
    if not BRIDGE.exists():
        pytest.skip("the node's metadata service can be faked only if the node is this machine")
    directory = tmp_path_factory.mktemp("imds")
    credentials = {
        "AccessKeyId": "NODEKEY",
        "SecretAccessKey": "s",
        "SessionToken": "t",
        "Expiration": "2099-01-01T00:00:00Z",
    }
    user = {"Arn": "arn:aws:sts::111122223333:assumed-role/node-role/i-0"}
    (directory / "credentials.json").write_text(json.dumps({"Credentials": credentials, "AssumedRoleUser": user}))
    address = ["ip", "address", "add", f"{METADATA_ADDRESS}/32", "dev", BRIDGE.name]
    subprocess.run(address, check=True)
    try:
        with imds(directory, directory / "credentials.json", (f"{METADATA_ADDRESS}:80", f"{METADATA_ADDRESS}:8080")):
            yield METADATA_ADDRESS
    finally:
        subprocess.run([*address[:2], "delete", *address[3:]], check=True)


@pytest.fixture(autouse=True)
def begin_early(request: pytest.FixtureRequest) -> None:
    """Create the pod of `aging` as soon as podrole is installed, if a selected test needs it."""
    is_wanted = any("aging" in getattr(item, "fixturenames", ()) for item in request.session.items)
    if is_wanted and request.node.path.name != WALKTHROUGH:
        request.getfixturevalue("aging")


@pytest.fixture(scope="session")
def aging(installed: Node) -> Iterator[tuple[str, str]]:
    """The namespace of a pod `app` with the shortest token lifetime that an API server allows, and its first token.

    The pod is as injected, except for that lifetime. Its namespace has no label, so it is not injected again.
    """
    labelled = make_namespace(installed, f"test-{uuid.uuid4().hex[:8]}", dict(ENABLED))
    options = [f"--namespace={labelled}", "create", "--dry-run=server", "--output=json", "-f", "-"]
    injected = installed.kubectl.run(*options, stdin=json.dumps(build_pod("sleep 3600", role="anybody")))
    delete_namespace(installed, labelled)
    pod = json.loads(injected.output)
    pod["metadata"] = {"name": "app", "annotations": pod["metadata"]["annotations"]}
    [source] = next(volume for volume in pod["spec"]["volumes"] if volume["name"] == TOKEN_VOLUME)["projected"][
        "sources"
    ]
    source["serviceAccountToken"]["expirationSeconds"] = SHORTEST_TOKEN_SECONDS
    name = make_namespace(installed, f"test-{uuid.uuid4().hex[:8]}", {})
    installed.apply(pod, name)
    installed.await_ready("pod/app", name)
    yield name, installed.execute("app", name, "python3", "-c", READ_TOKEN, container=SIDECAR_CONTAINER)
    delete_namespace(installed, name)


def make_namespace(node: Node, name: str, labels: dict[str, str]) -> str:
    """Create a namespace; return when pods can be created in it."""
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    node.apply(manifest, "default")
    node.await_ready("serviceaccount/default", name, "create")
    return name


@pytest.fixture
def team(installed: Node) -> Iterator[str]:
    """A new labelled namespace, whose ServiceAccounts can assume the role `anybody`."""
    name = make_namespace(installed, f"test-{uuid.uuid4().hex[:8]}", dict(ENABLED))
    yield name
    delete_namespace(installed, name)


@pytest.fixture
def plain(installed: Node) -> Iterator[str]:
    """A new namespace without the label."""
    name = make_namespace(installed, f"plain-{uuid.uuid4().hex[:8]}", {})
    yield name
    delete_namespace(installed, name)


@pytest.fixture
def team_a(installed: Node) -> Iterator[str]:
    """The namespace of team A, whose account `web` can assume the role `team-a`."""
    yield from _make_team(installed, TEAM_A.name)


def _make_team(node: Node, name: str) -> Iterator[str]:
    make_namespace(node, name, dict(ENABLED))
    for account in ("web", "other"):
        node.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}}, name)
    yield name
    delete_namespace(node, name)
    node.kubectl.run("wait", f"namespace/{name}", "--for=delete", "--timeout=110s")


def delete_namespace(node: Node, namespace: str) -> None:
    """Delete a namespace and everything in it."""
    node.kubectl.run("delete", "namespace", namespace, "--wait=false", "--ignore-not-found")
