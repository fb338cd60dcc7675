"""The handler: the responses of docs/wire.md, without a server."""

import json
from collections.abc import Sequence

import pytest

from contract.value_types import ImdsTokens
from server.messages import Handler, Response
from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure, State
from sidecar.endpoints import imds_tokens
from sidecar.endpoints.handler import create_handler
from sidecar.endpoints.request_filter import filter_request
from sidecar.endpoints.routes import Route, build_routes
from sidecar.endpoints.state import EndpointState
from testing.handlers import call
from testing.sidecars import CREDENTIALS_PATH, POD_UID, ROLE_ARN

NOW = 1_700_000_000
KEY = b"k" * 32
ROLES = "/latest/meta-data/iam/security-credentials"
TOKEN = "X-aws-ec2-metadata-token"
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
CREDENTIALS = Credentials(ROLE_ARN, "ASIAEXAMPLE", "secret", "token", NOW, NOW + 3600)
DENIED = Failure("AccessDenied", "no", is_permanent=True)
VALID = State(refresh_at=NOW + 1800, credentials=CREDENTIALS)
WAITING = State(refresh_at=NOW)
REFUSED = State(refresh_at=NOW, failure=DENIED, failures=1, failed_at=NOW)
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def build_state(states: Sequence[State] = (VALID,), tokens: ImdsTokens = ImdsTokens.OPTIONAL) -> EndpointState:
    """Its credentials are always those of the first of the states."""
    config = Config(
        role_arn=ROLE_ARN,
        region="eu-west-1",
        session_name="web",
        run_directory="/run",
        pod_uid=POD_UID,
        imds_tokens=tokens,
    )
    state = EndpointState(config, lambda: states[0], KEY, "boot", clock=lambda: NOW)
    state.token_clock = lambda: NOW
    return state


def build_handler(state: State = VALID, tokens: ImdsTokens = ImdsTokens.OPTIONAL) -> Handler:
    return create_handler(build_state([state], tokens))


ROUTES = build_routes(build_state())


def with_token(token: str) -> dict[str, str]:
    return {"Host": "169.254.169.254", TOKEN: token}


def allow_of(response: Response) -> str | None:
    return dict(response.headers).get("Allow")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get", pytest.param("", id="empty")])
@pytest.mark.parametrize("route", [route for route in ROUTES if route.name != "token"], ids=lambda route: route.name)
def test_wrong_method_gets_405_with_get_and_head(route: Route, method: str) -> None:
    response = call(build_handler(), route.paths[0], method=method)

    assert (response.status, response.body, allow_of(response)) == (405, b"", "GET, HEAD")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_token_path_allows_put_only(method: str) -> None:
    response = call(build_handler(), "/latest/api/token", method=method)

    assert (response.status, response.body, allow_of(response)) == (405, b"", "PUT")


@pytest.mark.parametrize("path", [f"{ROLES}/other", f"{ROLES}/reade", f"{ROLES}/reader2", f"{ROLES}/Reader"])
def test_other_role_gets_404_and_405(path: str) -> None:
    assert call(build_handler(), path).status == 404
    assert allow_of(call(build_handler(), path, method="POST")) == "GET, HEAD"


@pytest.mark.parametrize(
    "path", ["/nothing", "/latest/api", "/latest/user-data", f"{ROLES}/a/b", "/latest/meta-data/iam/info"]
)
def test_unknown_path_gets_404_for_every_method(path: str) -> None:
    responses = [call(build_handler(), path, method=method) for method in ("GET", "PUT", "POST")]

    assert [(response.status, allow_of(response)) for response in responses] == [(404, None)] * 3


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{ROLES}/reader", 401),
        (ROLES, 401),
        ("/latest/meta-data/placement/region", 401),
        pytest.param("/latest/unknown", 401, id="unknown-path-under-latest"),
        ("/latest", 401),
        pytest.param("/unknown", 401, id="unknown-path-elsewhere"),
        (CREDENTIALS_PATH, 200),
        ("/podrole/status", 200),
        ("/podrole/boot", 200),
    ],
)
@pytest.mark.parametrize(
    "token", ["", "x", imds_tokens.build_token(b"other" * 8, 60, NOW)], ids=("empty", "x", "other")
)
def test_invalid_token_is_rejected_except_on_paths_without_tokens(path: str, status: int, token: str) -> None:
    assert call(build_handler(), path, with_token(token)).status == status


@pytest.mark.parametrize("path", [f"{ROLES}/reader", ROLES, "/latest/meta-data/placement/region"])
def test_required_token_is_checked_before_the_path_is_answered(path: str) -> None:
    handler = build_handler(tokens=ImdsTokens.REQUIRED)
    token = call(handler, "/latest/api/token", {TTL: "60"}, "PUT").body.decode()

    assert call(handler, path).status == 401
    assert call(handler, "/latest/unknown").status == 401
    assert call(handler, "/v2/credentials/unknown").status == 404
    assert call(handler, path, with_token(token)).status == 200
    assert call(handler, "/latest/unknown", with_token(token)).status == 404


@pytest.mark.parametrize("path", [ROLES, f"{ROLES}/reader", "/latest/", "/latest/meta-data/instance-id"])
def test_response_tells_how_long_the_token_is_valid(path: str) -> None:
    """aws-node-termination-handler renews it then; it would send the old token beside the new one after a 401."""
    state = build_state()
    state.token_clock = lambda: NOW + 20.5
    token = imds_tokens.build_token(KEY, 60, NOW)

    response = call(create_handler(state), path, with_token(token))

    assert dict(response.headers)[TTL.title()] == "39"


@pytest.mark.parametrize("seconds", [pytest.param(1200, id="forward"), pytest.param(-1200, id="back")])
def test_token_stays_valid_when_the_clock_is_set(seconds: float) -> None:
    state = build_state()
    handler = create_handler(state)
    token = call(handler, "/latest/api/token", {TTL: "60"}, "PUT").body.decode()

    state.clock = lambda: NOW + seconds

    assert call(handler, ROLES, with_token(token)).status == 200


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        pytest.param(ROLES, {}, id="no-token"),
        pytest.param(ROLES, with_token("x"), id="invalid-token"),
        pytest.param(CREDENTIALS_PATH, with_token(imds_tokens.build_token(KEY, 60, NOW)), id="path-without-tokens"),
    ],
)
def test_response_without_a_valid_token_has_no_lifetime_of_one(path: str, headers: dict[str, str]) -> None:
    assert TTL.title() not in dict(call(build_handler(), path, headers).headers)


@pytest.mark.parametrize("ttl", ["0", "21601", "x", "60,60", pytest.param("", id="empty")])
def test_token_request_with_invalid_ttl_gets_400(ttl: str) -> None:
    assert call(build_handler(), "/latest/api/token", {TTL: ttl}, "PUT").status == 400


def test_token_response_has_the_ttl() -> None:
    response = call(build_handler(), "/latest/api/token", {TTL: "60"}, "PUT")

    assert response.status == 200
    assert dict(response.headers) == HEADERS | {"Content-Type": "text/plain", TTL.title(): "60"}


@pytest.mark.parametrize(
    ("path", "valid", "waiting", "refused"),
    [
        (ROLES, 200, 503, 503),
        (f"{ROLES}/reader", 200, 401, 401),
        (f"{ROLES}/other", 404, 404, 404),
        (CREDENTIALS_PATH, 200, 503, 403),
        ("/latest/meta-data/placement/region", 200, 200, 200),
        ("/latest/dynamic/instance-identity/document", 200, 200, 200),
        ("/latest/meta-data/placement/availability-zone", 404, 404, 404),
        ("/latest/meta-data/instance-id", 404, 404, 404),
        ("/podrole/boot", 200, 200, 200),
        ("/podrole/status", 200, 200, 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_status_in_each_state(path: str, valid: int, waiting: int, refused: int, method: str) -> None:
    responses = [call(build_handler(state), path, method=method) for state in (VALID, WAITING, REFUSED)]

    assert [response.status for response in responses] == [valid, waiting, refused]
    assert all(HEADERS.items() <= dict(response.headers).items() for response in responses)


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        (CREDENTIALS_PATH, "application/json"),
        ("/podrole/status", "application/json"),
        (f"{ROLES}/reader", "text/plain"),
        ("/latest/dynamic/instance-identity/document", "text/plain"),
        ("/nothing", "text/plain"),
    ],
)
def test_content_type(path: str, content_type: str) -> None:
    assert dict(call(build_handler(), path).headers)["Content-Type"] == content_type


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("name", "status"),
    [
        pytest.param("team/reader", 200, id="path-and-name"),
        pytest.param(ROLE_ARN, 200, id="arn"),
        pytest.param(ROLE_ARN.replace(":", "%3A"), 200, id="arn-with-encoded-colons"),
        pytest.param("team/writer", 404, id="another-name"),
        pytest.param("ops/reader", 404, id="another-path"),
        pytest.param("team", 404, id="path-alone"),
        pytest.param("team/reader/x", 404, id="more-than-the-name"),
        pytest.param(ROLE_ARN.replace("1111", "4444"), 404, id="arn-of-another-account"),
        pytest.param("role/team/reader", 404, id="resource-of-the-arn"),
        pytest.param("team%2Freader", 404, id="encoded-slash"),
    ],
)
def test_role_is_found_by_its_path_and_by_its_arn_as_with_kube2iam(name: str, status: int, method: str) -> None:
    response = call(build_handler(), f"{ROLES}/{name}", method=method)

    assert response.status == status
    assert (b"ASIAEXAMPLE" in response.body) is (status == 200)


def test_documents_have_the_credentials() -> None:
    container, metadata = (
        json.loads(call(build_handler(), path).body) for path in (CREDENTIALS_PATH, f"{ROLES}/reader")
    )

    assert container["SecretAccessKey"] == metadata["SecretAccessKey"] == "secret"
    assert call(build_handler(), ROLES).body == b"reader"


@pytest.mark.parametrize("path", [CREDENTIALS_PATH, f"{ROLES}/reader"])
def test_response_with_credentials_is_built_once(path: str) -> None:
    handler = build_handler()

    assert call(handler, path) is call(handler, path)


@pytest.mark.parametrize("path", [CREDENTIALS_PATH, f"{ROLES}/reader"])
def test_new_credentials_replace_the_built_response(path: str) -> None:
    states = [VALID]
    handler = create_handler(build_state(states))
    old = call(handler, path).body
    states[0] = VALID._replace(credentials=CREDENTIALS._replace(secret_access_key="renewed"))

    new = call(handler, path).body

    assert b"renewed" not in old
    assert b"renewed" in new


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_paths_of_routes_are_canonical(route: Route) -> None:
    assert [filter_request(route.methods[0], path, {}) for path in route.paths] == list(route.paths)


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        pytest.param(CREDENTIALS_PATH, {"Host": "evil.example.com"}, 403, id="host"),
        pytest.param(CREDENTIALS_PATH, {"X-Forwarded-For": ""}, 403, id="forwarded"),
        pytest.param(CREDENTIALS_PATH, {"Origin": "null"}, 403, id="browser"),
        pytest.param("/v2/../v2/credentials", {}, 404, id="path"),
    ],
)
def test_rejected_request_gets_an_empty_body_and_no_route(
    target: str, headers: dict[str, str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    state = build_state()

    response = call(create_handler(state), target, headers)

    assert (response.status, response.body) == (status, b"")
    assert dict(response.headers) == HEADERS | {"Content-Type": "text/plain"}
    assert not state.counters.requests
    assert json.loads(capsys.readouterr().err)["event"] == "request-rejected"


def test_repr_of_the_state_contains_no_key() -> None:
    assert "kkk" not in repr(build_state())
