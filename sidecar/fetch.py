"""The exec'ed child: one AssumeRoleWithWebIdentity, its outcome as one JSON line on standard output.

The only importer of boto3 and tenacity: their memory, leaks and hangs end with this process. Run by `sidecar.child`.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_attempt, wait_exponential_jitter

from sidecar.config import Config
from sidecar.refresh import Failure

ATTEMPTS = 3
CONNECT_TIMEOUT_SECONDS = 3
READ_TIMEOUT_SECONDS = 5

TRANSIENT_CODES = frozenset(
    {
        "ExpiredTokenException",  # the kubelet has replaced the file by the next attempt, which reads it anew
        "IDPCommunicationError",
        "RequestTimeout",
        "RequestTimeoutException",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "SlowDown",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
"""Codes after which the same question may get another answer; any other 4xx is STS's refusal for good.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html, Errors, and the codes that
botocore's standard retry mode repeats.
"""


def fetch(config: Config) -> dict[str, Any] | Failure:
    """Ask STS, again after transient failures; return what `sidecar.child` turns into credentials, or why not."""
    retrying = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential_jitter(multiplier=0.2, max=2),
        retry=retry_if_result(lambda outcome: isinstance(outcome, Failure) and not outcome.is_final),
        retry_error_callback=_last_outcome,
    )
    client = build_client(config)
    outcome: dict[str, Any] | Failure = retrying(ask, client, config)
    return outcome


def build_client(config: Config) -> Any:
    """Make an STS client that asks once, gives up soon, and signs nothing: the token is the proof."""
    options = ClientConfig(
        signature_version=UNSIGNED,
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"total_max_attempts": 1},
    )
    session = boto3.session.Session(region_name=config.region)
    return session.client("sts", endpoint_url=config.sts_endpoint, config=options)


def ask(client: Any, config: Config) -> dict[str, Any] | Failure:
    """Ask STS once, with the token that lies in the file now."""
    try:
        token = Path(config.token_file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        return Failure("TokenUnreadable", f"{config.token_file}: {error}", is_final=False)
    if not token:
        return Failure("TokenEmpty", f"{config.token_file} is empty", is_final=False)
    try:
        response = client.assume_role_with_web_identity(
            RoleArn=config.role_arn,
            RoleSessionName=config.session_name,
            DurationSeconds=config.session_duration_seconds,
            WebIdentityToken=token,
        )
    except ClientError as error:
        return classify(error)
    except BotoCoreError as error:
        return Failure(type(error).__name__, str(error), is_final=False)
    except ResponseParserError:  # its text would quote the answer, and an answer cut short can hold a key
        return Failure("UnreadableAnswer", "what answered is not STS, or its answer was cut short", is_final=False)
    return parse_response(response)


def classify(error: ClientError) -> Failure:
    """Tell a refusal for good from a passing fault, by STS's code and the status it came with."""
    code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
    is_transient = code in TRANSIENT_CODES or status >= 500 or status == 429  # noqa: PLR2004 - HTTP's own numbers
    return Failure(code, message, is_final=not is_transient)


def parse_response(response: dict[str, Any]) -> dict[str, Any] | Failure:
    """Take the four values out of STS's answer; an answer without one of them is a failure, never half a document."""
    credentials = response.get("Credentials") or {}
    wanted = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
    if missing := [name for name in wanted if not credentials.get(name)]:
        return Failure("IncompleteAnswer", f"STS answered without {', '.join(missing)}", is_final=False)
    key_id, secret, session_token, expiration = (credentials[name] for name in wanted)
    return {
        "access_key_id": key_id,
        "secret_access_key": secret,
        "session_token": session_token,
        "expires_at": int(expiration.timestamp()),
    }


def _last_outcome(state: RetryCallState) -> Any:
    return state.outcome.result() if state.outcome else None


def main() -> None:
    """Write the outcome and leave at once: a normal end of the interpreter takes 50 ms to free what it loaded."""
    outcome = fetch(Config.from_environ(os.environ))
    print(json.dumps(asdict(outcome) if isinstance(outcome, Failure) else outcome), flush=True)  # noqa: T201
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
