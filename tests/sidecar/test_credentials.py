"""How credentials are written down, and what of them may be seen."""

import json

from sidecar.credentials import Credentials

CREDENTIALS = Credentials(
    role_arn="arn:aws:iam::111122223333:role/team/reader",
    access_key_id="ASIAEXAMPLE",
    secret_access_key="very+secret/key",
    session_token="a+session/token==",
    obtained_at=1_700_000_000,
    expires_at=1_700_003_600,
)


def test_the_metadata_document_has_the_layout_of_the_real_service() -> None:
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


def test_the_container_document_names_the_role_and_its_account() -> None:
    assert json.loads(CREDENTIALS.to_container_document()) == {
        "RoleArn": "arn:aws:iam::111122223333:role/team/reader",
        "AccessKeyId": "ASIAEXAMPLE",
        "SecretAccessKey": "very+secret/key",
        "Token": "a+session/token==",
        "Expiration": "2023-11-14T23:13:20Z",
        "AccountId": "111122223333",
    }


def test_a_printed_value_shows_no_secret() -> None:
    printed = f"{CREDENTIALS!r} {CREDENTIALS}"

    assert "ASIAEXAMPLE" in printed
    assert "secret/key" not in printed
    assert "session/token" not in printed


def test_credentials_are_served_until_a_minute_before_their_end() -> None:
    assert CREDENTIALS.is_servable(now=1_700_003_539)
    assert not CREDENTIALS.is_servable(now=1_700_003_540)
