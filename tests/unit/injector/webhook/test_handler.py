import base64
import copy
import dataclasses
import json
import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jsonpatch
import pytest
from werkzeug.test import Client

from injector.errors import ClusterError, ObjectTooLargeError, ReviewError
from injector.k8s.objects import Metadata, read_owner
from injector.k8s.reader import MetadataReader
from injector.patch.template import load_template
from injector.webhook.admission_review import AdmissionReview, parse_review
from injector.webhook.app import create_app
from injector.webhook.handler import Admission
from testing.cases import CONFIG, ENABLED, UNANNOTATED, Pod, load_case, load_review
from testing.hostile_text import STORED

if TYPE_CHECKING:
    from injector.webhook.decision_log import DecisionLogEntry


class Lookups:
    """A cluster with one namespace and one ServiceAccount; raises an exception that is passed instead."""

    def __init__(
        self,
        namespace: Metadata | Exception | None = ENABLED,
        account: Metadata | Exception | None = UNANNOTATED,
    ) -> None:
        self._namespace = namespace
        self._account = account
        self.reads: list[tuple[str, ...]] = []

    def namespace(self, name: str) -> Metadata | None:
        self.reads.append((name,))
        if isinstance(self._namespace, Exception):
            raise self._namespace
        return self._namespace

    def version(self) -> None:
        """Unknown."""

    def is_cached(self, namespace: str, service_account: str) -> bool:
        return not isinstance(self._namespace, Exception) and bool(namespace and service_account)

    def service_account(self, namespace: str, name: str) -> Metadata | None:
        self.reads.append((namespace, name))
        if isinstance(self._account, Exception):
            raise self._account
        return self._account


def answer(review: Mapping[str, Any], cluster: MetadataReader) -> AdmissionReview:
    admission = Admission(CONFIG, cluster, load_template(CONFIG))
    response, entry = admission.answer(parse_review(json.dumps(review).encode()))
    admission.log_and_count(entry)
    return response


def review_of(pod: Pod) -> dict[str, Any]:
    recorded = load_review("pod-create-replicaset")
    return {**recorded, "request": {**recorded["request"], "object": pod}}


RECORDED = load_review("pod-create-replicaset")
UID = RECORDED["request"]["uid"]


@pytest.mark.parametrize(
    "failure",
    [RuntimeError("secret"), KeyError("x"), RecursionError(), MemoryError()],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("place", ["namespace", "account"])
def test_unexpected_error_denies_the_pod_and_is_logged_with_the_uid(
    failure: Exception, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = Lookups(namespace=failure) if place == "namespace" else Lookups(account=failure)

    response = answer(RECORDED, cluster)["response"]

    assert response["allowed"] is False
    assert response["uid"] == UID
    assert UID in response["status"]["message"]
    assert "secret" not in response["status"]["message"]
    assert "Traceback" in caplog.text
    assert UID in caplog.text


def test_each_kind_of_unexpected_error_has_one_traceback_a_minute_and_then_their_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    one = Admission(CONFIG, Lookups(account=KeyError()), load_template(CONFIG), clock=lambda: now[0])
    other = dataclasses.replace(one, cluster=Lookups(account=ValueError()))
    review = parse_review(json.dumps(RECORDED).encode())

    for second in range(0, 61, 3):
        now[0] = second
        one.answer(review)
    answers = [other.answer(review)[0] for _ in range(2)]

    assert [record.getMessage() for record in caplog.records] == [
        f"{UID} failed ({count} reviews since the last line of this error)" for count in (1, 20, 1)
    ]
    assert caplog.text.count("Traceback") == 3
    assert not any(answer["response"]["allowed"] for answer in answers)


def test_cluster_error_denies_the_pod_and_names_the_failed_read() -> None:
    cluster = Lookups(account=ClusterError("cannot get ServiceAccount demo/default: timed out"))

    response = answer(RECORDED, cluster)["response"]

    assert response["allowed"] is False
    assert "ServiceAccount demo/default: timed out" in response["status"]["message"]
    assert response["auditAnnotations"] == {"reason": "ClusterReadFailed"}


def test_many_failed_reads_are_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    admission = Admission(CONFIG, Lookups(account=ClusterError("timed out")), load_template(CONFIG))
    review = parse_review(json.dumps(RECORDED).encode())

    for _ in range(50):
        admission.answer(review)

    [line] = [record.getMessage() for record in caplog.records]
    assert line == f"1 reviews failed as objects of the cluster could not be read. The last one: {UID}: timed out"
    assert "Traceback" not in caplog.text


def test_missing_service_account_denies_the_pod() -> None:
    response = answer(RECORDED, Lookups(account=None))["response"]

    assert response["allowed"] is False
    assert (
        '[ServiceAccountNotFound] The pod\'s ServiceAccount "default" does not exist' in response["status"]["message"]
    )
    assert response["auditAnnotations"] == {"reason": "ServiceAccountNotFound"}


def test_account_with_too_large_metadata_denies_the_pod_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Lookups(account=ObjectTooLargeError("ServiceAccount demo/default has more than 1000 labels"))

    response = answer(RECORDED, cluster)["response"]

    assert response["allowed"] is False
    assert "[ObjectTooLarge] ServiceAccount demo/default has more than 1000 labels." in response["status"]["message"]
    assert response["auditAnnotations"] == {"reason": "ObjectTooLarge"}
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"containers": "app"}, "containers must be a list"),
        ({"containers": ["app"]}, "containers must be a list"),
        ({"containers": [], "nodeSelector": []}, "nodeSelector is of type list"),
        ({"containers": [{"name": "app", "env": {}}]}, "env must be a list"),
    ],
    ids=["string-as-containers", "list-of-strings", "list-as-node-selector", "object-as-env"],
)
def test_pod_field_of_wrong_type_is_rejected(spec: Pod, message: str) -> None:
    cluster = Lookups(account=Metadata({}, {"iam.amazonaws.com/role": "reader"}))

    with pytest.raises(ReviewError, match=message):
        answer(review_of({"metadata": {}, "spec": spec}), cluster)


def test_denial_names_pod_request_and_every_reason() -> None:
    response = answer(review_of(load_case("everything-wrong").pod), Lookups())["response"]

    message = response["status"]["message"]
    assert response["allowed"] is False
    assert f"pod demo/app (request {UID}):" in message
    for part in ("[WrongPartition]", "[InvalidValue]", "podrole.io/session-duration", "podrole.io/mode", "16925"):
        assert part in message


@pytest.mark.parametrize("key", ["iam.amazonaws.com/allowed-role", "iam.amazonaws.com/permited"])
def test_denial_names_the_misspelt_allow_list_of_the_namespace(key: str) -> None:
    case = load_case("role-on-the-pod")
    namespace = ENABLED._replace(annotations={"iam.amazonaws.com/allowed-roles": '["writer"]', key: ""})

    response = answer(review_of(case.pod), Lookups(namespace=namespace))["response"]

    message = response["status"]["message"]
    assert "[RoleNotAllowed] The namespace does not allow the role" in message
    assert f"[UnknownAnnotation] Annotation {key} of the namespace has no effect" in message
    assert response["auditAnnotations"] == {"reason": "RoleNotAllowed"}


def test_recorded_review_is_answered_with_a_patch_that_applies() -> None:
    cluster = Lookups(account=Metadata({}, {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/web"}))

    response = answer(RECORDED, cluster)["response"]

    patch = jsonpatch.JsonPatch(json.loads(base64.b64decode(response["patch"])))
    pod = patch.apply(RECORDED["request"]["object"])
    assert [container["name"] for container in pod["spec"]["initContainers"]] == ["podrole-redirect", "podrole-sidecar"]
    assert pod["metadata"]["annotations"]["lab/role"]
    assert response["allowed"] is True
    assert response["uid"] == UID
    assert "warnings" not in response
    assert cluster.reads == [("demo",), ("demo", "default")]


def test_account_of_an_unknown_namespace_is_not_read() -> None:
    cluster = Lookups(namespace=None)

    response = answer(RECORDED, cluster)["response"]

    assert response["auditAnnotations"] == {"reason": "NamespaceNotFound"}
    assert cluster.reads == [("demo",)]


def test_second_review_of_an_injected_pod_has_no_patch() -> None:
    cluster = Lookups(account=Metadata({}, {"iam.amazonaws.com/role": "web"}))
    first = answer(RECORDED, cluster)["response"]
    pod = jsonpatch.JsonPatch(json.loads(base64.b64decode(first["patch"]))).apply(RECORDED["request"]["object"])

    second = answer(review_of(pod), cluster)["response"]

    assert second["allowed"] is True
    assert "patch" not in second


def test_skipped_pod_gets_no_patch() -> None:
    response = answer(RECORDED, Lookups(namespace=Metadata({}, {})))["response"]

    assert response == {"uid": UID, "allowed": True, "auditAnnotations": {"reason": "NamespaceNotLabelled"}}


def test_warning_is_in_the_response() -> None:
    response = answer(review_of(load_case("host-network").pod), Lookups())["response"]

    assert response["allowed"] is True
    assert "patch" not in response
    assert "spec.hostNetwork" in response["warnings"][0]


def test_other_request_is_allowed_without_a_lookup() -> None:
    cluster = Lookups(namespace=RuntimeError())
    review = {**RECORDED, "request": {**RECORDED["request"], "operation": "UPDATE"}}

    response = answer(review, cluster)["response"]

    assert response["allowed"] is True
    assert cluster.reads == []


def test_one_line_is_logged_for_each_review_without_the_environment(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    pod = load_case("no-role").pod
    pod["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "app-5d9c", "controller": True}]
    pod["spec"]["containers"][0]["env"] = [{"name": "PASSWORD", "value": "hunter2"}]

    answer(review_of(pod), Lookups())

    [line] = caplog.messages
    assert re.fullmatch(rf"{UID} demo/app: Block NoRole of ReplicaSet/app-5d9c, \d+\.\d ms", line)
    assert "hunter2" not in str(vars(caplog.records[0]))


@pytest.mark.parametrize(
    ("case", "outcome", "role"),
    [
        pytest.param("role-on-the-pod", "Inject", "arn:aws:iam::111122223333:role/reader", id="injected"),
        pytest.param("role-not-allowed", "Deny", "arn:aws:iam::111122223333:role/reader", id="not-allowed"),
        pytest.param("role-that-is-none", "Deny", None, id="invalid"),
        pytest.param("no-role", "Block", None, id="none"),
        pytest.param("host-network", "Skip", None, id="skipped"),
    ],
)
def test_log_has_the_role_that_a_pod_gets_or_asks_for(case: str, outcome: str, role: str | None) -> None:
    found = load_case(case)
    admission = Admission(CONFIG, Lookups(found.namespace, found.service_account), load_template(CONFIG))

    _, entry = admission.answer(parse_review(json.dumps(review_of(found.pod)).encode()))

    assert (entry.outcome, entry.role) == (outcome, role)


def test_log_has_the_service_account() -> None:
    pod = load_case("no-role").pod
    pod["spec"]["serviceAccountName"] = "builder"
    admission = Admission(CONFIG, Lookups(), load_template(CONFIG))

    _, entry = admission.answer(parse_review(json.dumps(review_of(pod)).encode()))

    assert entry.service_account == "builder"


def test_each_answer_is_counted_after_the_response() -> None:
    counted: list[DecisionLogEntry] = []
    review = json.dumps(review_of(load_case("no-role").pod))
    for cluster in (Lookups(), Lookups(namespace=RuntimeError())):
        app = create_app(Admission(CONFIG, cluster, load_template(CONFIG), counted.append))
        with Client(app).post("/mutate", data=review):
            pass

    assert [(entry.outcome, entry.reasons) for entry in counted] == [
        ("Block", ("NoRole",)),
        ("Fail", ("InternalError",)),
    ]


@pytest.mark.parametrize(
    "references",
    [None, {}, "x", [None], [{"kind": "ReplicaSet"}], [{"controller": "yes"}]],
    ids=["null", "object", "string", "list-of-null", "no-controller", "controller-not-boolean"],
)
def test_invalid_owner_references_give_no_owner(references: object) -> None:
    assert read_owner({"metadata": {"ownerReferences": references}}) is None


def test_review_is_nonblocking_only_if_its_objects_are_cached() -> None:
    review = parse_review(json.dumps(review_of(load_case("no-role").pod)).encode())
    known = Admission(CONFIG, Lookups(), load_template(CONFIG))
    unknown = Admission(CONFIG, Lookups(namespace=RuntimeError()), load_template(CONFIG))

    assert known.is_nonblocking(review)
    assert not unknown.is_nonblocking(review)


@pytest.mark.parametrize("key", ["name", "generateName"])
def test_denial_shows_a_name_that_no_pod_can_have_as_printable_text(key: str) -> None:
    review = copy.deepcopy(RECORDED)
    review["request"]["object"]["metadata"] = {key: STORED * 100}

    message = answer(review, Lookups(account=ClusterError(STORED)))["response"]["status"]["message"]

    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 1200
