import base64
import json
from typing import Any

import pytest

from injector.errors import ReviewError
from injector.webhook.admission_review import build_allowed, build_denied, parse_review
from tests.unit.injector.cases import load_review

RECORDED = load_review("pod-create-replicaset")


def changed(**request: Any) -> bytes:
    return json.dumps({**RECORDED, "request": {**RECORDED["request"], **request}}).encode()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"pod", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"null", "NoneType"),
        (b"[]", "JSON list"),
        (b'"review"', "JSON str"),
        (b"{}", "kind is null"),
        (json.dumps({**RECORDED, "kind": "Pod"}).encode(), 'kind is "Pod": only AdmissionReview'),
        (json.dumps({**RECORDED, "apiVersion": "admission.k8s.io/v1beta1"}).encode(), "v1beta1"),
        (json.dumps({**RECORDED, "apiVersion": ["x"] * 1000}).encode(), "apiVersion is"),
        (json.dumps({**RECORDED, "request": None}).encode(), "no request"),
        (json.dumps({**RECORDED, "request": []}).encode(), "no request"),
        (changed(uid=None), "no uid"),
        (changed(uid=""), "no uid"),
        (changed(uid=7), "no uid"),
        (changed(namespace=None), "without a namespace"),
        (changed(object=None), "no pod"),
        (changed(object=[]), "no pod"),
        (changed(object={"metadata": {}}), "no pod"),
        (changed(object={"spec": "x"}), "no pod"),
    ],
)
def test_what_no_api_server_sends_is_refused_with_a_sentence(body: bytes, said: str) -> None:
    with pytest.raises(ReviewError) as caught:
        parse_review(body)

    assert said in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["pod-create-replicaset", "pod-create-generate-name"])
def test_a_recorded_review_is_the_creation_of_a_pod(name: str) -> None:
    recorded = load_review(name)

    review = parse_review(json.dumps(recorded).encode())

    assert review.is_pod_creation
    assert review.uid == recorded["request"]["uid"]
    assert review.namespace == "demo"
    assert review.pod == recorded["request"]["object"]


@pytest.mark.parametrize(
    "request_",
    [
        {"operation": "UPDATE"},
        {"operation": "DELETE", "object": None},
        {"subResource": "ephemeralcontainers"},
        {"resource": {"group": "apps", "version": "v1", "resource": "deployments"}},
    ],
)
def test_anything_else_is_none(request_: dict[str, Any]) -> None:
    review = parse_review(changed(**request_))

    assert not review.is_pod_creation
    assert review.uid == RECORDED["request"]["uid"]


def test_an_answer_has_the_patch_in_the_envelope_that_kubernetes_reads() -> None:
    operations = [{"op": "add", "path": "/spec/x", "value": "é"}]

    answer = build_allowed("u", operations, ["careful"], {"reason": "X"})

    assert answer["apiVersion"] == "admission.k8s.io/v1"
    assert answer["kind"] == "AdmissionReview"
    response = answer["response"]
    assert json.loads(base64.b64decode(response["patch"])) == operations
    assert response["patchType"] == "JSONPatch"
    assert response["uid"] == "u"
    assert response["warnings"] == ["careful"]


def test_an_empty_patch_is_left_out() -> None:
    assert build_allowed("u", [])["response"] == {"uid": "u", "allowed": True}


def test_a_denial_says_why() -> None:
    response = build_denied("u", "because", {"reason": "X"})["response"]

    assert response["allowed"] is False
    assert response["uid"] == "u"
    assert response["status"] == {"code": 403, "reason": "Forbidden", "message": "because"}
