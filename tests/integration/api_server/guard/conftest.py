"""API servers of the oldest and the newest tested version, with the policies of the guard."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from testing.cases import ENVIRON
from testing.cluster.api import ApiServer, connect, wait_for
from testing.cluster.manifests import Kubectl
from testing.cluster.namespaces import ENABLED, Namespaces
from testing.cluster.pods import build_pod, names_of
from testing.cluster.private import DEFAULT_VERSION, NEWEST_VERSION, PrivateCluster
from tests.integration.api_server.conftest import create_runtime_classes, run_cluster
from tests.integration.api_server.guard.policies import (
    SETTINGS_LABEL,
    UNSAFE,
    build_settings,
    install,
    name_settings,
)
from tests.integration.api_server.webhooks import build_configuration, build_selector, run_injector

WEBHOOK_LABEL = "example.com/podrole-webhook"
"""The label of a namespace that chooses the injector of its pods. Without it no webhook sees them."""

INJECTORS: dict[str, dict[str, Any]] = {
    "nftables": {},
    "iptables": {"redirect_backend": "iptables"},
    "node-source-and-passthrough": UNSAFE,
}
MakeNamespace = Callable[..., str]


@pytest.fixture(scope="session", params=[DEFAULT_VERSION, NEWEST_VERSION])
def cluster(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrivateCluster]:
    """A private API server without controllers: it needs one program, which takes minutes to build."""
    with run_cluster(pytestconfig, tmp_path_factory.mktemp("guard"), "api", request.param) as running:
        yield running


@pytest.fixture(scope="session")
def kubeconfig(cluster: PrivateCluster) -> str:
    """Never the cluster of KUBECONFIG: these tests use the names of a real installation."""
    return str(cluster.kubeconfig)


@pytest.fixture(scope="session")
def api(kubeconfig: str) -> Iterator[ApiServer]:
    """This folder's own: the one of all API server tests exists already, with their cluster."""
    with connect(kubeconfig) as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def runtime_classes(api: ApiServer) -> Iterator[None]:
    """On this folder's clusters, too."""
    with create_runtime_classes(api):
        yield


@pytest.fixture
def kubectl(cluster: PrivateCluster, tmp_path: Path) -> Kubectl:
    """kubectl with this cluster: from PATH, else the one that was built with the cluster."""
    program = shutil.which("kubectl") or str(cluster.programs / "bin" / "kubectl")
    return Kubectl(program, str(cluster.kubeconfig), tmp_path)


@pytest.fixture(scope="session", autouse=True)
def injector() -> None:
    """Not registered: most of these tests have no webhook."""


@pytest.fixture(scope="session")
def guarded(api: ApiServer) -> ApiServer:
    """The API server with the guard."""
    install(api)
    return api


@pytest.fixture
def make_namespace(guarded: ApiServer) -> Iterator[MakeNamespace]:
    """Creates namespaces whose pods the guard checks, with these changes of the default settings."""
    with Namespaces(guarded, {}, has_controllers=False) as namespaces:

        def make(
            changes: Mapping[str, Any] | None = None,
            labels: Mapping[str, str] = ENABLED,
            annotations: Mapping[str, str] | None = None,
        ) -> str:
            return namespaces.make({**labels, SETTINGS_LABEL: name_settings(changes or {})}, annotations)

        yield make


@pytest.fixture(scope="module", params=INJECTORS)
def webhook(
    request: pytest.FixtureRequest, guarded: ApiServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """The changed settings of an injector that runs, for namespaces with its label."""
    changes = INJECTORS[request.param]
    label = {WEBHOOK_LABEL: request.param}
    settings = {**ENVIRON, **build_settings(changes), "KUBECONFIG": guarded.kubeconfig}
    with run_injector(tmp_path_factory.mktemp("injector"), settings) as running:
        webhook = {
            "name": "pods.podrole.io",
            "namespaceSelector": build_selector(label),
            "reinvocationPolicy": "IfNeeded",
        }
        guarded.create(build_configuration(f"podrole-{request.param}", webhook, running.url, running.certificates.ca))
        with Namespaces(guarded, {}, has_controllers=False) as namespaces:
            namespace = namespaces.make(ENABLED | label)

            def is_injected() -> bool:
                pod = guarded.create(build_pod({}), namespace, dry_run=True).object
                return names_of(pod, "initContainers") == ["podrole-redirect"]

            wait_for("the API server calls the webhook", is_injected)
        yield {"changes": changes, "label": label}
        guarded.delete("MutatingWebhookConfiguration", f"podrole-{request.param}")
