"""Answers that are not the API server's, or not about what was asked for: no reader takes them for an absence."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from injector.errors import ClusterError, NotFoundError
from injector.k8s.answers import Target, parse_path
from injector.k8s.client import MAX_OBJECT_BYTES, ApiClient
from injector.k8s.direct_reader import DirectReader
from injector.k8s.secret import CertificateSecret
from injector.k8s.webhook_configuration import WebhookConfiguration
from testing.api_status import build_absence, build_status
from testing.fake_api_server import CONFIGURATION, CONFIGURATIONS, SECRET, WritableApiServer, writable_api_server
from testing.fake_list_watch_server import NAMESPACES, RequestHandler
from testing.protobuf import CONTENT_TYPE, encode_document

NAMESPACE, ACCOUNT = f"{NAMESPACES}/team-a", f"{NAMESPACES}/team-a/serviceaccounts/worker"
JSON = "application/json"
HTML = b"<html>404 Not Found</html>"

Read = Callable[[WritableApiServer], Any]

READS: dict[str, tuple[str, Read]] = {
    "namespace": (NAMESPACE, lambda api: DirectReader(api.configuration).namespace("team-a")),
    "service-account": (ACCOUNT, lambda api: DirectReader(api.configuration).service_account("team-a", "worker")),
    "version": ("/version/", lambda api: DirectReader(api.configuration).version()),
    "secret": (
        SECRET,
        lambda api: CertificateSecret(api.configuration, "podrole-system", "podrole-injector-certs").read(),
    ),
    "configuration": (CONFIGURATION, lambda api: WebhookConfiguration(api.configuration, "podrole-injector").read()),
    "command": (ACCOUNT, lambda api: ApiClient(api.configuration).get_or_none(ACCOUNT)),
}
"""The path that a reader of the injector or a command reads, and the read."""


@pytest.fixture
def api() -> Iterator[WritableApiServer]:
    with writable_api_server() as server:
        yield server


def send(
    handler: RequestHandler, status: int, body: bytes, content_type: str | None, *headers: tuple[str, str]
) -> None:
    handler.send_response(status)
    for name, value in (("Content-Length", str(len(body))), *headers):
        handler.send_header(name, value)
    if content_type is not None:
        handler.send_header("Content-Type", content_type)
    handler.end_headers()
    handler.wfile.write(body)


def send_json(document: Any, status: int = 404) -> Callable[[RequestHandler], None]:
    return lambda handler: send(handler, status, json.dumps(document).encode(), JSON)


def absence_of(resource: str, name: str, **changes: Any) -> Any:
    return {**build_absence(resource, name)[1], **changes}


def cut_body(handler: RequestHandler) -> None:
    body = json.dumps(absence_of("serviceaccounts", "worker")).encode()
    send(handler, 404, body[:-20], JSON)


def cut_length(handler: RequestHandler) -> None:
    handler.send_response(404)
    handler.send_header("Content-Type", JSON)
    handler.send_header("Content-Length", "500")
    handler.end_headers()
    handler.wfile.write(b'{"kind": "Status"')


def cut_chunk(handler: RequestHandler) -> None:
    handler.send_response(404)
    handler.send_header("Content-Type", JSON)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b'fff\r\n{"kind": "Status"')


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda handler: send(handler, 404, HTML, "text/html"), id="html"),
        pytest.param(lambda handler: send(handler, 404, b"", None), id="empty"),
        pytest.param(lambda handler: send(handler, 404, b"404 page not found\n", "text/plain"), id="text"),
        pytest.param(send_json([]), id="json-list"),
        pytest.param(send_json({"message": "not found", "code": 404}), id="json-of-another-shape"),
        pytest.param(send_json({"kind": "Status", "code": 404, "reason": "NotFound"}), id="status-without-version"),
        pytest.param(send_json(build_status(404, "")), id="status-without-reason"),
        pytest.param(send_json(build_status(404, "Expired")), id="status-with-another-reason"),
        pytest.param(send_json(build_status(404, "NotFound")), id="status-without-details"),
        pytest.param(send_json(absence_of("serviceaccounts", "worker", code=410)), id="status-with-another-code"),
        pytest.param(send_json(absence_of("serviceaccounts", "worker", details=[])), id="details-of-another-type"),
        pytest.param(send_json(absence_of("things", "worker")), id="absence-of-another-resource"),
        pytest.param(send_json(absence_of("serviceaccounts", "other")), id="absence-of-another-account"),
        pytest.param(send_json(absence_of("namespaces", "other")), id="absence-of-another-namespace"),
        pytest.param(send_json(absence_of("secrets", "other")), id="absence-of-another-secret"),
        pytest.param(send_json(absence_of("mutatingwebhookconfigurations", "podrole-injector")), id="another-group"),
        pytest.param(cut_body, id="cut-json"),
        pytest.param(cut_length, id="cut-body"),
        pytest.param(cut_chunk, id="cut-chunk"),
        pytest.param(send_json(absence_of("serviceaccounts", "worker"), 410), id="absence-with-another-http-status"),
    ],
)
def test_404_that_is_no_status_about_the_object_is_an_error(
    api: WritableApiServer, read: str, fault: Callable[[RequestHandler], None]
) -> None:
    path, send_request = READS[read]
    for _ in range(2):  # an answer that is cut is asked for once more
        api.fail_next(path, fault, watch=False)

    with pytest.raises(ClusterError) as raised:
        send_request(api)

    assert not isinstance(raised.value, NotFoundError)


def test_error_of_a_load_balancer_names_its_status_and_type(api: WritableApiServer) -> None:
    api.fail_next(ACCOUNT, lambda handler: send(handler, 404, HTML, "text/html; charset=utf-8"), watch=False)

    with pytest.raises(
        ClusterError,
        match=r"cannot get ServiceAccount team-a/worker: Not Found \(404\): the answer \(text/html.*\) is not a Status",
    ):
        DirectReader(api.configuration).service_account("team-a", "worker")


def account(**metadata: str) -> dict[str, Any]:
    named = {"name": "worker", "namespace": "team-a", **metadata}
    return {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": named}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda handler: send(handler, 200, HTML, "text/html"), id="html"),
        pytest.param(lambda handler: send(handler, 200, json.dumps(account()).encode(), None), id="no-type"),
        pytest.param(lambda handler: send(handler, 200, json.dumps(account()).encode(), "text/plain"), id="text"),
        pytest.param(lambda handler: send(handler, 200, b"", JSON), id="empty"),
        pytest.param(lambda handler: send(handler, 204, b"", JSON), id="no-content"),
        pytest.param(lambda handler: send(handler, 206, json.dumps(account()).encode(), JSON), id="partial-content"),
        pytest.param(
            lambda handler: send(handler, 200, json.dumps(account()).encode(), JSON, ("Content-Encoding", "gzip")),
            id="compressed",
        ),
        pytest.param(lambda handler: send(handler, 200, b"[" * 100_000, JSON), id="deeply-nested"),
        pytest.param(lambda handler: send(handler, 200, b" " * (MAX_OBJECT_BYTES + 1), JSON), id="too-large"),
        pytest.param(send_json(build_status(404, "NotFound"), 200), id="status"),
        pytest.param(send_json({**account(), "kind": "Secret"}, 200), id="another-kind"),
        pytest.param(send_json({**account(), "apiVersion": "v2"}, 200), id="another-version"),
        pytest.param(send_json(account(name="other"), 200), id="another-name"),
        pytest.param(send_json(account(namespace="team-b"), 200), id="another-namespace"),
        pytest.param(send_json({**account(), "metadata": []}, 200), id="metadata-is-a-list"),
    ],
)
def test_success_with_something_else_than_the_object_is_an_error(
    api: WritableApiServer, fault: Callable[[RequestHandler], None]
) -> None:
    api.fail_next(ACCOUNT, fault, watch=False)

    with pytest.raises(ClusterError, match=f"cannot get {ACCOUNT}|{ACCOUNT} has more than 16 MiB"):
        ApiClient(api.configuration).get_or_none(ACCOUNT)


def encode_account(kind: str = "PartialObjectMetadata", **metadata: str) -> bytes:
    return encode_document({"kind": kind, "metadata": {"name": "worker", "namespace": "team-a", **metadata}})


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(encode_account(), JSON, id="another-type"),
        pytest.param(encode_account(name="other"), CONTENT_TYPE, id="another-name"),
        pytest.param(encode_account(namespace="team-b"), CONTENT_TYPE, id="another-namespace"),
        pytest.param(encode_account(namespace=""), CONTENT_TYPE, id="no-namespace"),
        pytest.param(encode_account(kind="ServiceAccount"), CONTENT_TYPE, id="another-kind"),
        pytest.param(encode_document(build_status(200, "")), CONTENT_TYPE, id="status"),
    ],
)
def test_live_read_of_something_else_than_the_account_is_an_error(
    api: WritableApiServer, body: bytes, content_type: str
) -> None:
    api.fail_next(ACCOUNT, lambda handler: send(handler, 200, body, content_type), watch=False)

    with pytest.raises(ClusterError, match="cannot get ServiceAccount team-a/worker"):
        DirectReader(api.configuration).service_account("team-a", "worker")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(api: WritableApiServer, status: int) -> None:
    location = ("Location", f"http://127.0.0.1:{api.port}{CONFIGURATION}")
    api.fail_next(ACCOUNT, lambda handler: send(handler, status, b"", None, location), watch=False)

    with pytest.raises(ClusterError, match=str(status)):
        ApiClient(api.configuration).get_or_none(ACCOUNT)

    assert [request.path for request in api.requests] == [ACCOUNT]


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"kind": "PodList", "apiVersion": "v1", "items": []}, id="list-of-another-kind"),
        pytest.param({"kind": "Namespace", "apiVersion": "v1", "items": []}, id="object"),
        pytest.param({"kind": "NamespaceList", "apiVersion": "v2", "items": []}, id="another-version"),
        pytest.param({"kind": "NamespaceList", "apiVersion": "v1", "items": [{"kind": "Pod"}]}, id="another-item"),
    ],
)
def test_list_of_something_else_is_an_error(api: WritableApiServer, document: Any) -> None:
    api.fail_next(NAMESPACES, send_json(document, 200), watch=False)

    with pytest.raises(ClusterError, match=f"cannot list {NAMESPACES}"):
        ApiClient(api.configuration).list(NAMESPACES)


def test_list_of_a_resource_that_the_api_server_does_not_know_is_an_absence(api: WritableApiServer) -> None:
    api.fail_next(CONFIGURATIONS, send_json(build_status(404, "NotFound")), watch=False)

    with pytest.raises(NotFoundError):
        ApiClient(api.configuration).list(CONFIGURATIONS)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        pytest.param("/version", None, id="no-resource"),
        pytest.param("/api/v1", None, id="version-only"),
        pytest.param("/api/v1/namespaces", Target("v1", "", "namespaces", "", ""), id="namespaces"),
        pytest.param("/api/v1/namespaces/a", Target("v1", "", "namespaces", "a", ""), id="namespace"),
        pytest.param("/api/v1/namespaces/a/pods", Target("v1", "", "pods", "", "a"), id="collection-of-a-namespace"),
        pytest.param("/api/v1/namespaces/a/pods/b%2Fc", Target("v1", "", "pods", "b/c", "a"), id="quoted-name"),
        pytest.param(
            "/apis/apps/v1/namespaces/a/deployments/b",
            Target("apps/v1", "apps", "deployments", "b", "a"),
            id="group",
        ),
    ],
)
def test_path_names_what_it_is_about(path: str, target: Target | None) -> None:
    assert parse_path(path) == target
