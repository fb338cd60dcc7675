"""The line between the child process and its parent."""

import pytest

from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure
from sidecar.sts.outcome import NO_OUTCOME, parse_outcome, serialize_outcome

CREDENTIALS = Credentials(
    "arn:aws:iam::111122223333:role/reader", "ASIA", "secret", "token", 1_700_000_000, 1_700_003_600
)


@pytest.mark.parametrize(
    "outcome",
    [
        pytest.param(CREDENTIALS, id="credentials"),
        pytest.param(Failure("AccessDenied", "no", is_permanent=True, is_chained=True), id="failure"),
        pytest.param(NO_OUTCOME, id="no-outcome"),
    ],
)
def test_serialized_outcome_is_parsed_unchanged(outcome: Credentials | Failure) -> None:
    assert parse_outcome(serialize_outcome(outcome).encode()) == outcome


def test_line_is_one_line() -> None:
    assert "\n" not in serialize_outcome(Failure("Code", "two\nlines", is_permanent=False))


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"Traceback (most recent call last):", id="traceback"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'"code"', id="text"),
        pytest.param(b"{}", id="empty-object"),
        pytest.param(b'{"code": "X"}', id="incomplete-failure"),
        pytest.param(b'{"access_key_id": "A"}', id="incomplete-credentials"),
        pytest.param(
            b'{"access_key_id": "A", "secret_access_key": "B", "session_token": "C", "expires_at": 1, "more": 2}',
            id="unknown-field",
        ),
        pytest.param(b"\xff", id="not-utf-8"),
    ],
)
def test_any_other_line_is_a_failure(written: bytes) -> None:
    outcome = parse_outcome(written)

    assert isinstance(outcome, Failure)
    assert outcome.code == "ChildFailed"
    assert not outcome.is_permanent
