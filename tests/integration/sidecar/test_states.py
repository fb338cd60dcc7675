"""The response of each path in each state of the credentials, as in docs/wire.md, over real sockets."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from testing.raw_http import Answer, ask, build_request
from testing.services import faulty_sts as faulty
from testing.services.faulty_sts import FaultySts, Grant
from testing.sidecars import CREDENTIALS_PATH, Sidecar, build_environ, running_sidecar

ROLES = "/latest/meta-data/iam/security-credentials"
PUT_TOKEN = build_request("/latest/api/token", "PUT", [("X-aws-ec2-metadata-token-ttl-seconds", "60")])

REQUESTS = {
    "token": [PUT_TOKEN],
    "role-list": [build_request(ROLES), build_request(f"{ROLES}/")],
    "document": [build_request(f"{ROLES}/reader"), build_request(f"{ROLES}/reader/")],
    "other-document": [build_request(f"{ROLES}/writer"), build_request(f"{ROLES}/other/reader")],
    "container": [
        build_request(CREDENTIALS_PATH),
        build_request("/v1/credentials/", headers=[("Authorization", "x")]),
    ],
    "known-value": [
        build_request("/latest/meta-data/placement/region"),
        build_request("/latest/dynamic/instance-identity/document"),
    ],
    "unknown-value": [
        build_request("/latest/meta-data/placement/availability-zone/"),
        build_request("/latest/meta-data/instance-id"),
        build_request("/latest/meta-data/iam/info"),
    ],
    "listing": [build_request("/"), build_request("/latest/meta-data/"), build_request("/2021-07-15/meta-data/iam")],
    "anything-else": [build_request("/nothing"), build_request("/latest/user-data"), build_request("/v3/credentials")],
    "wrong-method": [
        build_request("/latest/api/token"),
        build_request(ROLES, "PUT"),
        build_request(CREDENTIALS_PATH, "POST"),
    ],
}
EMPTY = b""
ANY_BODY = None
"""A body that other tests check."""

TABLE: dict[str, dict[str, tuple[int, bytes | None]]] = {
    "token": {"valid": (200, ANY_BODY), "waiting": (200, ANY_BODY), "refused": (200, ANY_BODY)},
    "role-list": {"valid": (200, b"reader"), "waiting": (503, EMPTY), "refused": (503, EMPTY)},
    "document": {"valid": (200, ANY_BODY), "waiting": (401, EMPTY), "refused": (401, EMPTY)},
    "other-document": {"valid": (404, EMPTY), "waiting": (404, EMPTY), "refused": (404, EMPTY)},
    "container": {"valid": (200, ANY_BODY), "waiting": (503, ANY_BODY), "refused": (403, ANY_BODY)},
    "known-value": {"valid": (200, ANY_BODY), "waiting": (200, ANY_BODY), "refused": (200, ANY_BODY)},
    "unknown-value": {"valid": (404, EMPTY), "waiting": (404, EMPTY), "refused": (404, EMPTY)},
    "listing": {"valid": (200, ANY_BODY), "waiting": (200, ANY_BODY), "refused": (200, ANY_BODY)},
    "anything-else": {"valid": (404, EMPTY), "waiting": (404, EMPTY), "refused": (404, EMPTY)},
    "wrong-method": {"valid": (405, EMPTY), "waiting": (405, EMPTY), "refused": (405, EMPTY)},
}
CELLS = [pytest.param(paths, state, id=f"{paths}-{state}") for paths, states in TABLE.items() for state in states]
FIXTURES = {"valid": "sidecar", "waiting": "empty_sidecar", "refused": "refused_sidecar"}


@pytest.mark.parametrize(("paths", "state"), CELLS)
def test_path_and_state_have_the_tables_response(paths: str, state: str, request: pytest.FixtureRequest) -> None:
    sidecar: Sidecar = request.getfixturevalue(FIXTURES[state])
    status, body = TABLE[paths][state]

    answers = [ask(sidecar.port, sent) for sent in REQUESTS[paths]]

    assert [answer.status for answer in answers] == [status] * len(answers)
    for answer in answers:
        assert answer.body == body if body is not None else len(answer.body) > 0


def test_transient_error_is_returned_with_both_key_spellings(empty_sidecar: Sidecar) -> None:
    answer = ask(empty_sidecar.port, build_request(CREDENTIALS_PATH, host="169.254.170.2"))

    document = json.loads(answer.body)
    assert answer.find("Content-Type") == "application/json"
    assert document["Code"] == document["code"] == "EndpointConnectionError"
    assert document["Message"] == document["message"] != ""


def test_permanent_error_is_returned_with_code_and_message_of_sts(refused_sidecar: Sidecar) -> None:
    answer = ask(refused_sidecar.port, build_request(CREDENTIALS_PATH, host="169.254.170.2"))

    document = json.loads(answer.body)
    assert document["Code"] == document["code"] == "AccessDenied"
    assert "Not authorized to perform sts:AssumeRoleWithWebIdentity" in document["Message"]


def test_credentials_that_expire_in_an_outage_are_no_longer_served(faulty_sts: FaultySts, tmp_path: Path) -> None:
    """Credentials are withdrawn a minute before they expire: an SDK would fail with them at its next call."""
    (tmp_path / "token").write_text("to.ke.n")
    ends_at = int(time.time()) + 125  # less would not last until the next refresh
    expiration = datetime.fromtimestamp(ends_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    faulty_sts.will(Grant(expiration=expiration), afterwards=faulty.BROKEN)
    with running_sidecar(build_environ(tmp_path, faulty_sts.url), tmp_path) as sidecar:
        sidecar.wait_for_log('"refreshed"', 60)

        requested_at, answers = time.time(), request_all(sidecar)
        while answers[0].status == 200:
            assert requested_at < ends_at - 60, "credentials are served that are about to expire"
            requested_at, answers = time.time(), request_all(sidecar)

    assert [(answer.status, answer.body) for answer in answers[:2]] == [(503, b""), (401, b"")]
    assert answers[2].status == 503


def test_hanging_sts_does_not_block_clients(faulty_sts: FaultySts, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("to.ke.n")
    faulty_sts.will(afterwards=faulty.HANGING)
    with running_sidecar(build_environ(tmp_path, faulty_sts.url), tmp_path) as sidecar:
        faulty_sts.await_requests(1, 30)

        answers = request_all(sidecar)

        assert [answer.status for answer in answers] == [503, 401, 503]
        assert '"refresh-failed"' not in sidecar.log


def request_all(sidecar: Sidecar) -> list[Answer]:
    """Request the role list, the role document and the container credentials."""
    return [ask(sidecar.port, build_request(path)) for path in (ROLES, f"{ROLES}/reader", CREDENTIALS_PATH)]
