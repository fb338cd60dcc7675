"""Tokens of the issuer verify; SeaweedFS accepts the right token and rejects wrong ones."""

import json
import urllib.request

import jwt
import pytest
from botocore.exceptions import ClientError

from testing.services.issuer import Issuer
from testing.services.seaweedfs import Seaweedfs, claim_ports
from testing.sts_client import assume, build_client, read_refusal


def test_token_verifies_with_the_published_keys(issuer: Issuer) -> None:
    token = issuer.token("system:serviceaccount:team-a:writer")
    with urllib.request.urlopen(f"{issuer.url}/.well-known/openid-configuration") as response:
        discovery = json.load(response)

    key = jwt.PyJWKClient(discovery["jwks_uri"]).get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key, ["RS256"], audience="sts.amazonaws.com", issuer=discovery["issuer"])

    assert claims["sub"] == "system:serviceaccount:team-a:writer"
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["kubernetes.io"]["namespace"] == "team-a"
    assert claims["kubernetes.io"]["serviceaccount"]["name"] == "writer"


def test_forged_token_does_not_verify(issuer: Issuer) -> None:
    token = issuer.forger().token("system:serviceaccount:team-a:writer")

    key = jwt.PyJWKClient(f"{issuer.url}/openid/v1/jwks").get_signing_key_from_jwt(token)

    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, key, ["RS256"], audience="sts.amazonaws.com")


def test_seaweedfs_rejects_every_wrong_token(seaweedfs: Seaweedfs, issuer: Issuer) -> None:
    writer, reader = seaweedfs.roles["writer"], seaweedfs.roles["reader"]

    refusals = {
        "audience": read_refusal(seaweedfs.url, issuer.token(writer.subject, audience="vault"), writer.arn),
        "signature": read_refusal(seaweedfs.url, issuer.forger().token(writer.subject), writer.arn),
        "expired": read_refusal(seaweedfs.url, issuer.token(writer.subject, lifetime_seconds=-60), writer.arn),
        "subject": read_refusal(seaweedfs.url, issuer.token("system:serviceaccount:team-a:other"), writer.arn),
        "role-of-another": read_refusal(seaweedfs.url, issuer.token(writer.subject), reader.arn),
        "unknown-role": read_refusal(seaweedfs.url, issuer.token(writer.subject), f"{writer.arn}-2"),
        "issuer": read_refusal(seaweedfs.url, Issuer("https://other.example").token(writer.subject), writer.arn),
    }

    assert refusals == {
        "audience": (400, "InvalidParameterValue"),
        "signature": (400, "InvalidParameterValue"),
        "expired": (400, "ExpiredTokenException"),
        "subject": (403, "AccessDenied"),
        "role-of-another": (403, "AccessDenied"),
        "unknown-role": (403, "AccessDenied"),
        "issuer": (403, "AccessDenied"),
    }


def test_seaweedfs_grants_a_token_its_role_and_only_its_bucket(seaweedfs: Seaweedfs, issuer: Issuer) -> None:
    writer, reader = seaweedfs.roles["writer"], seaweedfs.roles["reader"]
    credentials = assume(seaweedfs.url, issuer.token(writer.subject), writer.arn)
    s3 = build_client(seaweedfs.url, "s3", credentials)

    s3.put_object(Bucket=writer.bucket, Key="greeting", Body=b"hello")
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=reader.bucket, Key="greeting", Body=b"hello")

    assert s3.get_object(Bucket=writer.bucket, Key="greeting")["Body"].read() == b"hello"
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


def test_concurrent_runs_get_different_ports() -> None:
    with claim_ports() as first, claim_ports() as second:
        assert not set(first.values()) & set(second.values())
