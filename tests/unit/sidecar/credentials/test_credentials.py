"""Credentials: their documents, parsing, lifetime and secrets."""

import json
from datetime import datetime
from typing import Any

import pytest

from sidecar.credentials.credentials import ADDED_FIELDS, Credentials

CREDENTIALS = Credentials(
    role_arn="arn:aws:iam::111122223333:role/team/reader",
    access_key_id="ASIAEXAMPLE",
    secret_access_key="very+secret/key",
    session_token="a+session/token==",
    obtained_at=1_700_000_000,
    expires_at=1_700_003_600,
)


def test_metadata_document_has_ec2s_layout() -> None:
    assert CREDENTIALS.to_metadata_document() == (
        "{\n"
        '  "Code" : "Success",\n'
        '  "LastUpdated" : "2023-11-14T22:13:20Z",\n'
        '  "Type" : "AWS-HMAC",\n'
        '  "AccessKeyId" : "ASIAEXAMPLE",\n'
        '  "SecretAccessKey" : "very+secret/key",\n'
        '  "Token" : "a+session/token==",\n'
        '  "Expiration" : "2023-11-14T23:13:20Z"\n'
        "}"
    )


def test_container_document_has_role_and_account() -> None:
    assert json.loads(CREDENTIALS.to_container_document()) == {
        "RoleArn": "arn:aws:iam::111122223333:role/team/reader",
        "AccessKeyId": "ASIAEXAMPLE",
        "SecretAccessKey": "very+secret/key",
        "Token": "a+session/token==",
        "Expiration": "2023-11-14T23:13:20Z",
        "AccountId": "111122223333",
    }


def test_repr_and_str_contain_no_secret() -> None:
    printed = f"{CREDENTIALS!r} {CREDENTIALS}"

    assert "ASIAEXAMPLE" in printed
    assert "secret/key" not in printed
    assert "session/token" not in printed


def test_credentials_are_servable_until_a_minute_before_expiry() -> None:
    assert CREDENTIALS.is_servable(now=1_700_003_539)
    assert not CREDENTIALS.is_servable(now=1_700_003_540)


def test_serialized_credentials_are_parsed_unchanged() -> None:
    assert Credentials.parse(json.loads(json.dumps(CREDENTIALS._asdict()))) == CREDENTIALS


def test_credentials_of_an_earlier_version_are_parsed() -> None:
    document = CREDENTIALS._asdict()
    for name in ADDED_FIELDS:
        del document[name]

    assert Credentials.parse(document) == CREDENTIALS


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"secret_access_key": None}, id="null"),
        pytest.param({"secret_access_key": ""}, id="empty"),
        pytest.param({"session_token": 7}, id="number-for-text"),
        pytest.param({"expires_at": "2030-01-01T00:00:00Z"}, id="text-for-number"),
        pytest.param({"expires_at": 1.5}, id="float"),
        pytest.param({"expires_at": True}, id="boolean"),
        pytest.param({"expires_at": 10**30}, id="far-future"),
        pytest.param({"obtained_at": -(10**30)}, id="far-past"),
        pytest.param({"clock_ahead_seconds": None}, id="null-number"),
        pytest.param({"ignores_date": 1}, id="number-for-boolean"),
        pytest.param({"another": "field"}, id="unknown-field"),
    ],
)
def test_invalid_field_error_names_the_field_and_quotes_no_value(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))) as caught:
        Credentials.parse(CREDENTIALS._asdict() | change)

    assert "very+secret" not in str(caught.value)


@pytest.mark.parametrize("field", sorted(CREDENTIALS._asdict().keys() - ADDED_FIELDS.keys()))
def test_missing_field_error_names_the_field(field: str) -> None:
    document = CREDENTIALS._asdict()
    del document[field]

    with pytest.raises(ValueError, match=field):
        Credentials.parse(document)


@pytest.mark.parametrize("ahead", [-7200, 7200])
def test_wrong_local_clock_changes_neither_lifetime_nor_documents(ahead: int) -> None:
    wrong = CREDENTIALS._replace(obtained_at=1_700_000_000 + ahead, clock_ahead_seconds=ahead)

    assert wrong.is_servable(now=1_700_003_539 + ahead)
    assert not wrong.is_servable(now=1_700_003_540 + ahead)
    assert '"2023-11-14T23:13:20Z"' in wrong.to_container_document()


def test_shift_clock_keeps_the_remaining_lifetime() -> None:
    followed = CREDENTIALS.shift_clock(-7200.4)

    assert followed.is_servable(now=1_700_003_539 - 7200)
    assert not followed.is_servable(now=1_700_003_540 - 7200)
    assert followed.expires_at == CREDENTIALS.expires_at


def test_lifetime_is_limited_to_the_requested_duration() -> None:
    forever = CREDENTIALS._replace(expires_at=4_102_444_800, clock_ahead_seconds=-40)

    limited = forever.limit(3600)

    assert limited.ends_at - limited.obtained_at == 3600
    assert limited == forever._replace(expires_at=limited.expires_at, ignores_expiration=True)


@pytest.mark.parametrize("lifetime", [60, 3600, 3630], ids=["shorter", "as-requested", "longer-by-the-tolerance"])
def test_lifetime_within_the_limit_is_kept(lifetime: int) -> None:
    credentials = CREDENTIALS._replace(expires_at=CREDENTIALS.obtained_at + lifetime)

    assert credentials.limit(3600) == credentials


def test_credentials_from_the_future_are_obtained_now_with_their_lifetime() -> None:
    moved = CREDENTIALS.obtained_by(1_700_000_000 - 86_400)

    assert (moved.obtained_at, moved.ends_at) == (1_700_000_000 - 86_400, 1_700_003_600 - 86_400)
    assert CREDENTIALS.obtained_by(1_700_000_000) == CREDENTIALS


@pytest.mark.parametrize("value", ["a b", "a\nb", "\u00e4", "\x7f"], ids=["blank", "line-break", "letter", "delete"])
def test_text_that_no_header_can_carry_is_invalid(value: str) -> None:
    with pytest.raises(ValueError, match="session_token"):
        Credentials.parse(CREDENTIALS._asdict() | {"session_token": value})


@pytest.mark.parametrize("year", ["2300", "9999"])
def test_times_until_the_last_year_of_rfc_3339_are_valid(year: str) -> None:
    at = int(datetime.fromisoformat(f"{year}-12-31T00:00:00+00:00").timestamp())

    assert Credentials.parse(CREDENTIALS._asdict() | {"obtained_at": at - 3600, "expires_at": at}).expires_at == at
