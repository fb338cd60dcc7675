import base64
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from injector.admission import Admission
from injector.app import LONGEST_BODY_BYTES, create_app
from injector.cluster.manifests import ManifestCluster
from injector.template import load_template
from tests.injector.cases import CONFIG, PODS, load_review

RECORDED = load_review("pod-create-replicaset")


def build_review(namespace: str = "team-a", **pod: Any) -> dict[str, Any]:
    request = {**RECORDED["request"], "namespace": namespace}
    return {**RECORDED, "request": {**request, "object": {**request["object"], **pod}}}


@pytest.fixture
def webhook() -> FlaskClient:
    cluster = ManifestCluster(PODS / "role-of-the-namespace.yaml", PODS / "role-on-the-service-account.yaml")
    return create_app(Admission(CONFIG, cluster, load_template(CONFIG))).test_client()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"null", "NoneType"),
        (b"[]", "list"),
        (b"{}", "kind"),
        (b'{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {}}', "uid"),
    ],
)
def test_what_is_no_review_gets_400_and_a_sentence(webhook: FlaskClient, body: bytes, said: str) -> None:
    response = webhook.post("/mutate", data=body, content_type="application/json")

    assert response.status_code == 400
    assert response.mimetype == "text/plain"
    assert said in response.text


@pytest.mark.covers("shape:9")
def test_a_review_of_one_mebibyte_is_answered(webhook: FlaskClient) -> None:
    metadata = {"name": "app", "annotations": {"example.com/big": "x" * 1024 * 1024}}

    response = webhook.post("/mutate?timeout=5s", json=build_review(metadata=metadata))

    assert response.status_code == 200
    assert response.json is not None
    assert response.json["response"]["allowed"] is True


def test_a_body_without_end_is_refused(webhook: FlaskClient) -> None:
    response = webhook.post("/mutate", data=b"x" * (LONGEST_BODY_BYTES + 1))

    assert response.status_code == 413


def test_a_review_is_answered_with_a_patch(webhook: FlaskClient) -> None:
    response = webhook.post("/mutate?timeout=5s", json=build_review())

    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert response.json is not None
    operations = json.loads(base64.b64decode(response.json["response"]["patch"]))
    assert {operation["path"] for operation in operations} >= {"/spec/initContainers", "/spec/volumes/-"}


def test_a_missing_namespace_is_denied(webhook: FlaskClient) -> None:
    response = webhook.post("/mutate", json=build_review(namespace="team-b"))

    assert response.json is not None
    assert response.json["response"]["allowed"] is False
    assert response.json["response"]["auditAnnotations"] == {"reason": "NamespaceMissing"}


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_it_tells_that_it_lives(webhook: FlaskClient, path: str) -> None:
    assert webhook.get(path).status_code == 200


def test_only_post_mutates(webhook: FlaskClient) -> None:
    assert webhook.get("/mutate").status_code == 405
    assert webhook.post("/").status_code == 404
