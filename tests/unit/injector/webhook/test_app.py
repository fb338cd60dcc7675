import base64
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from injector.errors import TooManyReadsError
from injector.k8s.manifest_files import ManifestCluster
from injector.k8s.reader import Reservation
from injector.patch.template import load_template
from injector.webhook.app import create_app, create_health_app
from injector.webhook.decision_log import DecisionLogEntry
from injector.webhook.handler import Admission
from injector.webhook.workload_warnings import WorkloadOutcome, WorkloadReviewer
from server.messages import WouldBlock
from server.wsgi import MAY_BLOCK
from testing.cases import CONFIG, PODS, load_review
from testing.hostile_text import STORED
from tests.unit.injector.webhook import workload_reviews
from tests.unit.injector.webhook.workload_reviews import PLAIN_TEMPLATE

RECORDED = load_review("pod-create-replicaset")


def build_review(namespace: str = "team-a", **pod: Any) -> dict[str, Any]:
    request = {**RECORDED["request"], "namespace": namespace}
    return {**RECORDED, "request": {**request, "object": {**request["object"], **pod}}}


class Uncached(ManifestCluster):
    """A cluster whose objects are all read live."""

    def is_cached(self, _namespace: str, _service_account: str) -> bool:
        return False


class Broken(ManifestCluster):
    """A cluster that has a bug."""

    def is_cached(self, _namespace: str, _service_account: str) -> bool:
        raise LookupError("a bug")


def build_app(cluster: ManifestCluster, counted: list[DecisionLogEntry] | None = None) -> Flask:
    entries: list[DecisionLogEntry] = [] if counted is None else counted
    return create_app(Admission(CONFIG, cluster, load_template(CONFIG), entries.append))


@pytest.fixture
def webhook() -> FlaskClient:
    cluster = ManifestCluster(PODS / "role-of-the-namespace.yaml", PODS / "role-on-the-service-account.yaml")
    return build_app(cluster).test_client()


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
def test_invalid_review_gets_400_with_a_message(webhook: FlaskClient, body: bytes, message: str) -> None:
    response = webhook.post("/mutate", data=body, content_type="application/json")

    assert response.status_code == 400
    assert response.mimetype == "text/plain"
    assert message in response.text


def test_review_of_one_mebibyte_is_answered(webhook: FlaskClient) -> None:
    metadata = {"name": "app", "annotations": {"example.com/big": "x" * 1024 * 1024}}

    response = webhook.post("/mutate?timeout=5s", json=build_review(metadata=metadata))

    assert response.status_code == 200
    assert response.json is not None
    assert response.json["response"]["allowed"] is True


@pytest.mark.parametrize(
    "path", ["/", "/mutate/", "//mutate", "/mutate//", "/Mutate", "/healthz", "/metrics", "/static/x"]
)
def test_other_path_gets_404(webhook: FlaskClient, path: str) -> None:
    response = webhook.post(path, json=build_review())

    assert response.status_code == 404
    assert response.text == "POST an AdmissionReview to /mutate\n"


def test_review_is_answered_with_a_patch(webhook: FlaskClient) -> None:
    response = webhook.post("/mutate?timeout=5s", json=build_review())

    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert response.json is not None
    operations = json.loads(base64.b64decode(response.json["response"]["patch"]))
    assert {operation["path"] for operation in operations} >= {"/spec/initContainers", "/spec/volumes/-"}


def test_pod_in_unknown_namespace_is_denied(webhook: FlaskClient) -> None:
    response = webhook.post("/mutate", json=build_review(namespace="team-b"))

    assert response.json is not None
    assert response.json["response"]["allowed"] is False
    assert response.json["response"]["auditAnnotations"] == {"reason": "NamespaceNotFound"}


def test_get_is_rejected(webhook: FlaskClient) -> None:
    assert webhook.get("/mutate").status_code == 405
    assert webhook.post("/").status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "FOO"])
def test_other_method_gets_405_and_the_allowed_one(webhook: FlaskClient, method: str) -> None:
    response = webhook.open("/mutate", method=method)

    assert response.status_code == 405
    assert response.text == "POST an AdmissionReview\n"
    assert response.headers.get_all("Allow") == ["POST"]


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("", id="empty"),
        pytest.param("a b", id="invalid"),
        pytest.param("x" * 300, id="too-long"),
        pytest.param("podrole-injector.podrole-system.svc:443", id="service"),
    ],
)
def test_review_is_answered_for_every_host_header(webhook: FlaskClient, host: str) -> None:
    response = webhook.post("/mutate", json=build_review(), headers={"Host": host})

    assert response.status_code == 200


def test_review_that_needs_a_live_read_raises_would_block_where_blocking_is_not_allowed() -> None:
    client = build_app(Uncached(PODS / "role-of-the-namespace.yaml")).test_client()

    with pytest.raises(WouldBlock):
        client.post("/mutate", json=build_review(), environ_overrides={MAY_BLOCK: False})
    in_a_thread = client.post("/mutate", json=build_review(), environ_overrides={MAY_BLOCK: True})

    assert in_a_thread.status_code == 200


def refuse(_namespace: str) -> Reservation:
    raise TooManyReadsError("64 pods wait for podrole to read the API server: try again in a second")


def test_review_beyond_the_limit_of_live_reads_gets_429_without_a_thread() -> None:
    cluster = Uncached(PODS / "role-of-the-namespace.yaml")
    client = create_app(Admission(CONFIG, cluster, load_template(CONFIG), reserve_reads=refuse)).test_client()

    response = client.post("/mutate", json=build_review(), environ_overrides={MAY_BLOCK: False})

    assert response.status_code == 429
    assert response.headers["Retry-After"] == "1"
    assert response.text == "64 pods wait for podrole to read the API server: try again in a second\n"


@pytest.mark.parametrize(
    ("pod", "status"),
    [
        pytest.param({}, 200, id="answered"),
        pytest.param({"spec": {"containers": "app"}}, 400, id="invalid"),
    ],
)
def test_review_leaves_its_place_when_a_thread_has_answered_it(pod: dict[str, Any], status: int) -> None:
    cluster = Uncached(PODS / "role-of-the-namespace.yaml")
    counted: list[DecisionLogEntry] = []
    released: list[str] = []

    def reserve(namespace: str) -> Reservation:
        return Reservation(cluster, lambda: released.append(namespace))

    admission = Admission(CONFIG, cluster, load_template(CONFIG), counted.append, reserve)
    client = create_app(admission).test_client()
    with pytest.raises(WouldBlock) as signal:
        client.post("/mutate", json=build_review(**pod), environ_overrides={MAY_BLOCK: False})
    assert signal.value.resume is not None

    response = signal.value.resume()

    assert (response.status, released) == (status, ["team-a"])
    if response.after:
        response.after()
    assert len(counted) == (status == 200)


def test_cached_review_is_answered_where_blocking_is_not_allowed(webhook: FlaskClient) -> None:
    response = webhook.post("/mutate", json=build_review(), environ_overrides={MAY_BLOCK: False})

    assert response.status_code == 200


@pytest.mark.parametrize(
    "review",
    [
        pytest.param(build_review(metadata={"annotations": {STORED * 100: 1}}), id="key-of-an-annotation"),
        pytest.param({**RECORDED, "kind": STORED * 100}, id="kind"),
        pytest.param({**RECORDED, "request": {**RECORDED["request"], "uid": STORED[30:60], "namespace": ""}}, id="uid"),
    ],
)
def test_response_to_an_invalid_review_is_cut_and_printable(webhook: FlaskClient, review: dict[str, Any]) -> None:
    response = webhook.post("/mutate", json=review)

    text = response.text.removesuffix("\n")
    assert response.status_code == 400
    assert len(text) <= 2048 + len("...")
    assert text.isascii()
    assert text.isprintable()


def test_invalid_review_gets_400_where_blocking_is_not_allowed() -> None:
    client = build_app(Uncached()).test_client()

    response = client.post("/mutate", data=b"[]", environ_overrides={MAY_BLOCK: False})

    assert response.status_code == 400


def test_unexpected_error_reaches_the_server() -> None:
    client = build_app(Broken()).test_client()

    with pytest.raises(LookupError, match="a bug"):
        client.post("/mutate", json=build_review(), environ_overrides={MAY_BLOCK: False})


def test_review_is_logged_and_counted_once_when_the_response_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    counted: list[DecisionLogEntry] = []
    client = build_app(ManifestCluster(PODS / "role-of-the-namespace.yaml"), counted).test_client()

    response = client.post("/mutate", json=build_review(), buffered=False)
    before = (list(counted), caplog.text)
    assert response.get_data()
    response.close()

    assert before == ([], "")
    assert [entry.uid for entry in counted] == [RECORDED["request"]["uid"]]
    assert caplog.text.count(RECORDED["request"]["uid"]) == 1


def test_review_gets_503_while_a_gate_is_closed() -> None:
    admission = Admission(CONFIG, ManifestCluster(), load_template(CONFIG))
    client = create_app(admission, lambda: ["waiting for namespaces"]).test_client()

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


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        pytest.param({"containers": [{"name": "a"}] * 1001}, "TooManyContainers", id="containers"),
        pytest.param({"containers": [], "tolerations": [{}] * 200_000}, "PodTooLarge", id="values"),
    ],
)
def test_pod_that_is_too_large_is_denied_with_a_sentence_and_counted(spec: dict[str, Any], code: str) -> None:
    counted: list[DecisionLogEntry] = []
    client = build_app(ManifestCluster(), counted).test_client()

    answered = client.post("/mutate", data=json.dumps(build_review(spec=spec)))
    answered.close()

    response = answered.get_json()["response"]
    assert response["uid"] == RECORDED["request"]["uid"]
    assert response["allowed"] is False
    assert f"[{code}] The pod has " in response["status"]["message"]
    assert [entry.reasons for entry in counted] == [(code,)]


WORKLOAD = workload_reviews.build_review(workload_reviews.build_workload(PLAIN_TEMPLATE))


def test_review_of_a_workload_is_answered_with_warnings(webhook: FlaskClient) -> None:
    response = webhook.post("/warn?timeout=2s", data=WORKLOAD, environ_overrides={MAY_BLOCK: False})

    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert response.json is not None
    assert response.json["response"]["allowed"] is True
    assert response.json["response"]["warnings"][0].startswith("Deployment web: ")


def test_review_of_a_workload_is_no_decision_about_a_pod(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    counted: list[DecisionLogEntry] = []
    client = build_app(ManifestCluster(PODS / "role-of-the-namespace.yaml"), counted).test_client()

    client.post("/warn", data=WORKLOAD)

    assert (counted, caplog.text) == ([], "")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}"], ids=["empty", "list", "no-kind"])
def test_invalid_review_of_a_workload_gets_400(webhook: FlaskClient, body: bytes) -> None:
    assert webhook.post("/warn", data=body).status_code == 400


def test_review_of_a_workload_gets_503_while_a_gate_is_closed() -> None:
    admission = Admission(CONFIG, ManifestCluster(), load_template(CONFIG))
    client = create_app(admission, lambda: ["waiting for namespaces"]).test_client()

    assert client.post("/warn", data=WORKLOAD).status_code == 503


def build_workload_client(reserve: Callable[[str], Reservation | None]) -> tuple[FlaskClient, list[WorkloadOutcome]]:
    cluster = Uncached(PODS / "role-of-the-namespace.yaml")
    counted: list[WorkloadOutcome] = []
    template = load_template(CONFIG)
    reviewer = WorkloadReviewer(CONFIG, cluster, template, counted.append, reserve)
    return create_app(Admission(CONFIG, cluster, template), workloads=reviewer).test_client(), counted


def test_review_of_a_workload_beyond_the_limit_of_live_reads_is_allowed_at_once() -> None:
    """Not 429: the API server would wait a second, and ask again."""
    client, counted = build_workload_client(lambda _namespace: None)

    response = client.post("/warn", data=WORKLOAD, environ_overrides={MAY_BLOCK: False})

    assert response.json is not None
    assert response.json["response"] == {"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "allowed": True}
    assert counted == [WorkloadOutcome.NOT_DECIDED]


@pytest.mark.parametrize(
    ("spec", "status"),
    [
        pytest.param({"containers": []}, 200, id="answered"),
        pytest.param({"containers": "app"}, 400, id="invalid"),
    ],
)
def test_review_of_a_workload_leaves_its_place_when_a_thread_has_answered_it(spec: dict[str, Any], status: int) -> None:
    cluster = Uncached(PODS / "role-of-the-namespace.yaml")
    released: list[str] = []
    client, _ = build_workload_client(lambda namespace: Reservation(cluster, lambda: released.append(namespace)))
    body = workload_reviews.build_review(workload_reviews.build_workload({"spec": spec}))
    with pytest.raises(WouldBlock) as signal:
        client.post("/warn", data=body, environ_overrides={MAY_BLOCK: False})
    assert signal.value.resume is not None

    response = signal.value.resume()

    assert (response.status, released) == (status, ["team-a"])


def test_update_of_a_workload_that_keeps_its_template_waits_for_no_thread() -> None:
    client, counted = build_workload_client(lambda _namespace: None)
    old = workload_reviews.build_workload(PLAIN_TEMPLATE)
    body = workload_reviews.build_review({**old, "spec": {**old["spec"], "replicas": 7}}, old)

    client.post("/warn", data=body, environ_overrides={MAY_BLOCK: False})

    assert counted == [WorkloadOutcome.UNCHANGED]
