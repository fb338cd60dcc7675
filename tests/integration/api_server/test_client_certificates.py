"""An API server that authenticates to the webhook with a client certificate, and clients without one."""

import http.client
import json
import shutil
import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from testing.cases import ENVIRON, load_review
from testing.cluster.api import ApiServer, Manifest, connect, wait_for
from testing.cluster.pods import build_pod
from testing.cluster.private import SCRIPTS, find_programs, private_cluster
from tests.integration.api_server.conftest import ENVIRONMENT, HOW_TO_HAVE_ONE
from tests.integration.api_server.webhooks import Injector, build_configuration, run_injector

API_SERVER_NAME = "kube-apiserver"
MATCHING = {"matchLabels": {"podrole.io/injection": "enabled"}}
REVIEW = json.dumps(load_review("pod-create-generate-name")).encode()


@dataclass(frozen=True)
class Clients:
    """The CA of the webhook's clients, and the API server's certificate."""

    ca: trustme.CA
    certificate: trustme.LeafCert


@pytest.fixture(scope="module")
def clients() -> Clients:
    ca = trustme.CA()
    return Clients(ca, ca.issue_cert(common_name=API_SERVER_NAME))


@pytest.fixture(scope="module")
def api(clients: Clients, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A private API server, started as docs/certificates.md says."""
    if not (SCRIPTS.is_dir() and shutil.which("go")):
        pytest.skip(HOW_TO_HAVE_ONE)
    directory, data = tmp_path_factory.mktemp("admission"), tmp_path_factory.mktemp("cluster")
    option = f"--admission-control-config-file={write_admission_configuration(directory, clients.certificate)}"
    environ = {**ENVIRONMENT, "APISERVER_EXTRA": option}
    with (
        private_cluster(SCRIPTS, find_programs(ENVIRONMENT), data, environ, "api") as cluster,
        connect(str(cluster.kubeconfig)) as server,
    ):
        server.patch(("Namespace", "default"), {"metadata": {"labels": MATCHING["matchLabels"]}})
        yield server


def write_admission_configuration(directory: Path, certificate: trustme.LeafCert) -> Path:
    """https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#authenticate-apiservers."""
    certificate.cert_chain_pems[0].write_to_path(directory / "client.crt")
    certificate.private_key_pem.write_to_path(directory / "client.key")
    user = {"client-certificate": str(directory / "client.crt"), "client-key": str(directory / "client.key")}
    kubeconfig = {"apiVersion": "v1", "kind": "Config", "users": [{"name": "*", "user": user}]}
    (directory / "webhooks.kubeconfig").write_text(json.dumps(kubeconfig))
    plugin = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "WebhookAdmissionConfiguration",
        "kubeConfigFile": str(directory / "webhooks.kubeconfig"),
    }
    configuration = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [
            {"name": f"{kind}AdmissionWebhook", "configuration": plugin} for kind in ("Mutating", "Validating")
        ],
    }
    (directory / "admission.yaml").write_text(json.dumps(configuration))
    return directory / "admission.yaml"


@pytest.fixture(scope="module")
def injector(api: ApiServer, clients: Clients, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Injector]:
    """An injector that answers only the API server. It takes the place of the one of the other modules."""
    directory = tmp_path_factory.mktemp("injector")
    clients.ca.cert_pem.write_to_path(directory / "clients.crt")
    settings = {
        **ENVIRON,
        "KUBECONFIG": api.kubeconfig,
        "PODROLE_CLIENT_CA": str(directory / "clients.crt"),
        "PODROLE_CLIENT_NAME": API_SERVER_NAME,
    }
    with run_injector(directory, settings) as running:
        webhook = {"name": "pods.podrole.io", "namespaceSelector": MATCHING}
        api.create(build_configuration("podrole-injector", webhook, running.url, running.certificates.ca))
        api.create(build_warnings(running))
        yield running


def build_warnings(injector: Injector) -> Manifest:
    """The configuration of the webhook that warns."""
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["CREATE"]}
    webhook = {
        "name": "workloads.podrole.io",
        "namespaceSelector": MATCHING,
        "failurePolicy": "Ignore",
        "rules": [rule],
    }
    url = injector.url.replace("/mutate", "/warn")
    configuration = build_configuration("podrole-injector", webhook, url, injector.certificates.ca)
    return {**configuration, "kind": "ValidatingWebhookConfiguration"}


def is_injected(api: ApiServer) -> bool:
    return "initContainers" in api.create(build_pod(), "default", dry_run=True).object["spec"]


def post(injector: Injector, certificate: trustme.LeafCert | None) -> int:
    """The status of a review; OSError if the connection is closed instead."""
    context = ssl.create_default_context(cafile=str(injector.certificates.ca))
    if certificate:
        certificate.configure_cert(context)
    address = urlsplit(injector.url).netloc
    with closing(http.client.HTTPSConnection(address, context=context, timeout=10)) as connection:
        connection.request("POST", "/mutate", REVIEW)
        return connection.getresponse().status


def test_api_server_with_the_client_certificate_is_answered(api: ApiServer, injector: Injector) -> None:
    wait_for("pods are injected", lambda: is_injected(api))
    assert injector.is_ready()


def test_api_server_with_the_client_certificate_gets_warnings_for_workloads(api: ApiServer, injector: Injector) -> None:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": build_pod()["spec"]}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
    workload = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}

    warnings = wait_for("warnings", lambda: api.create(workload, "default", dry_run=True).warnings)

    assert warnings[0].startswith("Deployment web: No role is configured for this pod")
    assert injector.is_ready()


@pytest.mark.parametrize("client", ["no-certificate", "another-ca", "another-name"])
def test_other_client_is_not_answered(injector: Injector, clients: Clients, client: str) -> None:
    certificates = {
        "no-certificate": None,
        "another-ca": trustme.CA().issue_cert(common_name=API_SERVER_NAME),
        "another-name": clients.ca.issue_cert(common_name="kubelet"),
    }

    with pytest.raises((OSError, http.client.HTTPException)):
        post(injector, certificates[client])
    assert post(injector, clients.certificate) == 200


def test_rotated_ca_is_used_without_a_restart(injector: Injector, clients: Clients) -> None:
    file = Path(injector.settings["PODROLE_CLIENT_CA"])
    old, new = file.read_bytes(), trustme.CA()
    new.cert_pem.write_to_path(file)
    try:
        with pytest.raises((OSError, http.client.HTTPException)):
            post(injector, clients.certificate)
        assert post(injector, new.issue_cert(common_name=API_SERVER_NAME)) == 200
    finally:
        file.write_bytes(old)
    assert post(injector, clients.certificate) == 200
