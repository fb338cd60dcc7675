"""The call AssumeRoleWithWebIdentity by boto3: what the sidecar used before, kept to compare its own client with."""

import os
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from sidecar.config import Config
from sidecar.credentials.credentials import CLOCK_TOLERANCE_SECONDS, Credentials
from sidecar.credentials.schedule import Failure
from sidecar.sts.codes import TRANSIENT_CODES
from sidecar.sts.endpoints import find_sts_url
from sidecar.sts.errors import UNREADABLE
from sidecar.sts.outcome import NO_OUTCOME

CONNECT_TIMEOUT_SECONDS = 3
READ_TIMEOUT_SECONDS = 5


def assume_role(config: Config, token: str, now: float, read_seconds: float = READ_TIMEOUT_SECONDS) -> Any:
    """Call STS once. An exception that the child process did not expect ended it: NO_OUTCOME."""
    try:
        response = build_client(config, read_seconds).assume_role_with_web_identity(
            WebIdentityToken=token,
            RoleArn=config.role_arn,
            RoleSessionName=config.role_session_name,
            DurationSeconds=config.session_duration_seconds,
        )
        return parse_response(response, config.role_arn, now)
    except ClientError as error:
        return classify(error.response)
    except BotoCoreError as error:
        return Failure(type(error).__name__, str(error), is_permanent=False)
    except ResponseParserError:
        return UNREADABLE
    except Exception:  # noqa: BLE001 - the parser raises KeyError, AttributeError and ValueError for odd documents
        return NO_OUTCOME


def build_client(config: Config, read_seconds: float) -> Any:
    """Build a client without retries."""
    proxy = config.sts_proxy
    options = ClientConfig(
        signature_version=UNSIGNED,
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=read_seconds,
        retries={"total_max_attempts": 1},
        proxies={"http": proxy, "https": proxy} if proxy else {},
    )
    verify = True if config.sts_ca_pem is None else write_to_memory_file(config.sts_ca_pem)
    session = boto3.session.Session(region_name=config.region)
    return session.client("sts", endpoint_url=find_sts_url(config), config=options, verify=verify)


def write_to_memory_file(pem: str) -> str:
    descriptor = os.memfd_create("podrole-sts-ca")
    os.write(descriptor, pem.encode())
    return f"/proc/self/fd/{descriptor}"


def classify(response: dict[str, Any]) -> Failure:
    error = response.get("Error") or {}
    code, message = error.get("Code", ""), error.get("Message", "")
    if not code:
        return UNREADABLE
    status = response["ResponseMetadata"].get("HTTPStatusCode", 0)
    is_transient = code in TRANSIENT_CODES or status >= 500 or status == 429
    printed = message.encode("ascii", "backslashreplace").decode()  # as the sidecar prints what others wrote
    return Failure(code, printed, is_permanent=not is_transient)


def parse_response(response: dict[str, Any], role_arn: str, now: float) -> Credentials | Failure:
    document = response.get("Credentials") or {}
    required = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
    if missing := [name for name in required if not document.get(name)]:
        return Failure("IncompleteResponse", f"STS responded without {', '.join(missing)}", is_permanent=False)
    date = response["ResponseMetadata"]["HTTPHeaders"].get("date")
    return Credentials(
        role_arn=role_arn,
        access_key_id=document["AccessKeyId"],
        secret_access_key=document["SecretAccessKey"],
        session_token=document["SessionToken"],
        obtained_at=int(now),
        expires_at=int(document["Expiration"].timestamp()),
        clock_ahead_seconds=measure_clock(date, now),
        ignores_date=date is not None and not is_date(date),
    )


def is_date(text: str) -> bool:
    try:
        parsedate_to_datetime(text)
    except ValueError:
        return False
    return True


def measure_clock(date: str | None, now: float) -> int:
    try:
        ahead = round(now - parsedate_to_datetime(date or "").timestamp())
    except (ValueError, OverflowError):
        return 0
    return ahead if abs(ahead) > CLOCK_TOLERANCE_SECONDS else 0
