import base64
import json
from typing import Any

import pytest

from injector.errors import ReviewError
from injector.webhook.admission_review import TooLargeReviewError, build_allowed, build_denied, parse_review
from testing.cases import load_review

RECORDED = load_review("pod-create-replicaset")


def change_review(**fields: Any) -> bytes:
    return json.dumps({**RECORDED, **fields}).encode()


def change_request(**fields: Any) -> bytes:
    return change_review(request={**RECORDED["request"], **fields})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"pod", "not JSON", id="text"),
        pytest.param(b"\xff\xfe", "not JSON", id="bytes"),
        pytest.param(b"[" * 200_000, "not JSON", id="nested-too-deeply"),
        pytest.param(b"null", "NoneType", id="null"),
        pytest.param(b"[]", "JSON list", id="list"),
        pytest.param(b'"review"', "JSON str", id="string"),
        pytest.param(b"{}", "kind is null", id="no-kind"),
        pytest.param(change_review(kind="Pod"), 'kind is "Pod": only AdmissionReview', id="other-kind"),
        pytest.param(change_review(apiVersion="admission.k8s.io/v1beta1"), "v1beta1", id="v1beta1"),
        pytest.param(change_review(apiVersion=["x"] * 1000), "apiVersion is", id="long-api-version"),
        pytest.param(change_review(request=None), "no request", id="null-request"),
        pytest.param(change_review(request=[]), "no request", id="list-as-request"),
        pytest.param(change_request(uid=None), "no uid", id="null-uid"),
        pytest.param(change_request(uid=""), "no uid", id="empty-uid"),
        pytest.param(change_request(uid=7), "no uid", id="number-as-uid"),
        pytest.param(change_request(namespace=None), "without a namespace", id="null-namespace"),
        pytest.param(change_request(object=None), "not a pod", id="null-object"),
        pytest.param(change_request(object=[]), "not a pod", id="list-as-object"),
        pytest.param(change_request(object={"metadata": {}}), "not a pod", id="object-without-spec"),
        pytest.param(change_request(object={"spec": "x"}), "not a pod", id="string-as-spec"),
    ],
)
def test_invalid_review_is_rejected_with_a_message(body: bytes, message: str) -> None:
    with pytest.raises(ReviewError) as caught:
        parse_review(body)

    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("{}", id="objects"),
        pytest.param('{"":0}', id="objects-with-a-key"),
        pytest.param("[]", id="lists"),
        pytest.param("0", id="numbers"),
        pytest.param('"ab"', id="strings"),
        pytest.param(json.dumps("a" * 1000) + ',"😀"', id="wide-characters"),
    ],
)
def test_review_whose_values_take_too_much_memory_is_denied_before_it_is_parsed(value: str) -> None:
    count = 3_200_000 // (len(value) + 1)
    body = b'{"request":{"uid":"0-1","object":[' + ",".join([value] * count).encode() + b"]}}"

    with pytest.raises(TooLargeReviewError, match="the maximum is 12582912") as caught:
        parse_review(body)

    assert caught.value.review.uid == "0-1"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"uid": "u" * 65}, id="uid"),
        pytest.param({"uid": "u" * 1_000_000}, id="uid-of-a-megabyte"),
        pytest.param({"namespace": "n" * 64}, id="namespace"),
        pytest.param({"namespace": "a/b"}, id="namespace-with-a-slash"),
        pytest.param({"object": {"spec": {"serviceAccountName": "s" * 254}}}, id="service-account"),
        pytest.param({"object": {"spec": {"serviceAccountName": "../a"}}}, id="service-account-with-a-slash"),
        pytest.param({"object": {"spec": {"serviceAccountName": {}, "serviceAccount": ["s"]}}}, id="list"),
    ],
)
def test_review_with_a_name_that_kubernetes_forbids_is_rejected_and_not_repeated(fields: dict[str, Any]) -> None:
    with pytest.raises(ReviewError) as caught:
        parse_review(change_request(**fields))

    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("key", ["containers", "initContainers"])
def test_pod_with_too_many_containers_is_rejected_before_each_gets_variables(key: str) -> None:
    body = change_request(object={"spec": {key: [{"name": "a"}] * 1001}})

    with pytest.raises(ReviewError, match="more than 1000 containers"):
        parse_review(body)


def test_pod_of_the_largest_size_is_parsed() -> None:
    container = {"name": "app", "env": [{"name": f"VARIABLE_{number}", "value": "x" * 50} for number in range(20_000)]}
    body = change_request(object={"spec": {"containers": [container]}})

    assert len(body) > 1.5 * 1024 * 1024  # etcd accepts no more: https://etcd.io/docs/v3.6/dev-guide/limit/
    assert parse_review(body).is_pod_creation


@pytest.mark.parametrize("name", ["pod-create-replicaset", "pod-create-generate-name"])
def test_recorded_review_of_a_pod_creation_is_parsed(name: str) -> None:
    recorded = load_review(name)

    review = parse_review(json.dumps(recorded).encode())

    assert review.is_pod_creation
    assert review.uid == recorded["request"]["uid"]
    assert review.namespace == "demo"
    assert review.pod == recorded["request"]["object"]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"operation": "UPDATE"}, id="update"),
        pytest.param({"operation": "DELETE", "object": None}, id="delete"),
        pytest.param({"subResource": "ephemeralcontainers"}, id="ephemeral-container"),
        pytest.param({"resource": {"group": "apps", "version": "v1", "resource": "deployments"}}, id="deployment"),
    ],
)
def test_other_request_is_not_a_pod_creation(fields: dict[str, Any]) -> None:
    review = parse_review(change_request(**fields))

    assert not review.is_pod_creation
    assert review.uid == RECORDED["request"]["uid"]


def test_allowed_response_contains_base64_patch_and_warnings() -> None:
    operations = [{"op": "add", "path": "/spec/x", "value": "é"}]

    answer = build_allowed("u", operations, ["careful"], {"reason": "X"})

    assert answer["apiVersion"] == "admission.k8s.io/v1"
    assert answer["kind"] == "AdmissionReview"
    response = answer["response"]
    assert json.loads(base64.b64decode(response["patch"])) == operations
    assert response["patchType"] == "JSONPatch"
    assert response["uid"] == "u"
    assert response["warnings"] == ["careful"]


def test_allowed_response_without_operations_has_no_patch() -> None:
    assert build_allowed("u", [])["response"] == {"uid": "u", "allowed": True}


def test_denied_response_has_code_reason_and_message() -> None:
    response = build_denied("u", "because", {"reason": "X"})["response"]

    assert response["allowed"] is False
    assert response["uid"] == "u"
    assert response["status"] == {"code": 403, "reason": "Forbidden", "message": "because"}
