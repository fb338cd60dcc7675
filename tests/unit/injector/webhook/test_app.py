import base64
import json
from typing import Any

import pytest
from werkzeug.test import Client

from injector.k8s.manifest_files import ManifestReader
from injector.patch.template import load_template
from injector.webhook.app import create_app, create_health_app
from injector.webhook.handler import Admission
from testing.cases import CONFIG, PODS, load_review

RECORDED = load_review("pod-create-replicaset")


def build_review(namespace: str = "team-a", **pod: Any) -> dict[str, Any]:
    request = {**RECORDED["request"], "namespace": namespace}
    return {**RECORDED, "request": {**request, "object": {**request["object"], **pod}}}


@pytest.fixture
def webhook() -> Client:
    cluster = ManifestReader(PODS / "role-of-the-namespace.yaml", PODS / "role-on-the-service-account.yaml")
    return Client(create_app(Admission(CONFIG, cluster, load_template(CONFIG))))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"null", "NoneType", id="null"),
        pytest.param(b"[]", "list", id="list"),
        pytest.param(b"{}", "kind", id="no-kind"),
        pytest.param(
            b'{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {}}', "uid", id="no-uid"
        ),
    ],
)
def test_invalid_review_gets_400_with_a_message(webhook: Client, body: bytes, message: str) -> None:
    response = webhook.post("/mutate", data=body, content_type="application/json")

    assert response.status_code == 400
    assert response.mimetype == "text/plain"
    assert message in response.text


def test_review_of_one_mebibyte_is_answered(webhook: Client) -> None:
    metadata = {"name": "app", "annotations": {"example.com/big": "x" * 1024 * 1024}}

    response = webhook.post("/mutate?timeout=5s", json=build_review(metadata=metadata))

    assert response.status_code == 200
    assert response.json is not None
    assert response.json["response"]["allowed"] is True


@pytest.mark.parametrize("path", ["/", "/mutate/", "/healthz", "/metrics"])
def test_other_path_gets_404(webhook: Client, path: str) -> None:
    response = webhook.post(path, json=build_review())

    assert response.status_code == 404
    assert response.text == "POST an AdmissionReview to /mutate\n"


def test_review_is_answered_with_a_patch(webhook: Client) -> None:
    response = webhook.post("/mutate?timeout=5s", json=build_review())

    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert response.json is not None
    operations = json.loads(base64.b64decode(response.json["response"]["patch"]))
    assert {operation["path"] for operation in operations} >= {"/spec/initContainers", "/spec/volumes/-"}


def test_pod_in_unknown_namespace_is_denied(webhook: Client) -> None:
    response = webhook.post("/mutate", json=build_review(namespace="team-b"))

    assert response.json is not None
    assert response.json["response"]["allowed"] is False
    assert response.json["response"]["auditAnnotations"] == {"reason": "NamespaceNotFound"}


def test_get_is_rejected(webhook: Client) -> None:
    assert webhook.get("/mutate").status_code == 405
    assert webhook.post("/").status_code == 404


def test_review_gets_503_while_a_gate_is_closed() -> None:
    admission = Admission(CONFIG, ManifestReader(), load_template(CONFIG))
    client = Client(create_app(admission, lambda: ["waiting for namespaces"]))

    response = client.post("/mutate", json=build_review())

    assert response.status_code == 503
    assert response.text == "not ready: waiting for namespaces\n"


def test_healthz_is_ok_while_readyz_reports_closed_gates() -> None:
    pending: list[str] = ["waiting for namespaces"]
    client = create_health_app(lambda: pending, lambda: b"").test_client()

    waiting = client.get("/readyz")
    alive = client.get("/healthz")
    pending.clear()
    ready = client.get("/readyz")

    assert (waiting.status_code, waiting.text) == (503, "waiting for namespaces\n")
    assert (alive.status_code, ready.status_code, ready.text) == (200, 200, "ok\n")


def test_metrics_have_prometheus_content_type() -> None:
    client = create_health_app(list, lambda: b"podrole_admission_requests_total 1.0\n").test_client()

    response = client.get("/metrics")

    assert response.content_type.startswith("text/plain; version=")
    assert response.text == "podrole_admission_requests_total 1.0\n"
