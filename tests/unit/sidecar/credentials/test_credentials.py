"""Credentials: their documents, parsing, lifetime and secrets."""

import json
from typing import Any

import pytest

from sidecar.credentials.credentials import Credentials

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
        pytest.param({"another": "field"}, id="unknown-field"),
    ],
)
def test_invalid_field_error_names_the_field_and_quotes_no_value(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))) as caught:
        Credentials.parse(CREDENTIALS._asdict() | change)

    assert "very+secret" not in str(caught.value)


@pytest.mark.parametrize("field", sorted(CREDENTIALS._asdict()))
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
