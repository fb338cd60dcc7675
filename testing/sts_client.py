"""Calls an STS or S3 through boto3, without retries and without this process's configuration."""

from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

ROLE_ARN = "arn:aws:iam::111122223333:role/team/reader"
READ_SECONDS = 30
"""For an overloaded machine."""


def build_client(
    url: str, service: str = "sts", credentials: dict[str, str] | None = None, read_seconds: float = READ_SECONDS
) -> Any:
    """Build a client that does not retry. Without credentials it does not sign."""
    config = Config(retries={"total_max_attempts": 1}, read_timeout=read_seconds)
    if credentials is None:
        unsigned = config.merge(Config(signature_version=UNSIGNED))
        return boto3.client(service, endpoint_url=url, region_name="eu-west-1", config=unsigned)
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="eu-west-1",
        config=config,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def assume(url: str, token: str = "to.ke.n", role_arn: str = ROLE_ARN, read_seconds: float = READ_SECONDS) -> Any:
    """Exchange a token for credentials."""
    client = build_client(url, read_seconds=read_seconds)
    try:
        answer = client.assume_role_with_web_identity(
            RoleArn=role_arn, RoleSessionName="team-a.writer-0", WebIdentityToken=token, DurationSeconds=1800
        )
    finally:
        client.close()
    return answer["Credentials"]


def read_refusal(url: str, token: str = "to.ke.n", role_arn: str = ROLE_ARN) -> tuple[int, str]:
    """The HTTP status and error code with which an STS rejects a token."""
    with pytest.raises(ClientError) as caught:
        assume(url, token, role_arn)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]
