"""The child process: assumes the roles of the chain in order and prints the outcome as one JSON line.

boto3 and tenacity are imported only here and in `sidecar.sts.client`: their memory and their hangs end with this
process. `sidecar.sts.process` starts it.
"""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from tenacity import RetryCallState, Retrying, stop_after_attempt, wait_exponential_jitter

from contract.modes import CredentialSource
from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure
from sidecar.sts.client import AccessKeys, CallerIdentity, Sts, Token, fetch_node_keys
from sidecar.sts.errors import RETRY_ONCE_CODES, UNREADABLE, classify, parse_response
from sidecar.sts.outcome import serialize_outcome

MIN_SESSION_SECONDS = 900
"""For a role that only assumes the next one. STS issues no shorter sessions."""


class ChainedRole(NamedTuple):
    """One role to assume (AWS: role chaining), and the parameters of the call."""

    role_arn: str
    parameters: dict[str, Any]
    position: str
    """Such as `hop 1 of 2`; empty without a chain."""


def fetch(config: Config, attempts: int) -> Credentials | Failure:
    """Assume the pod's role; retry after transient errors."""
    retrying = Retrying(
        stop=stop_after_attempt(attempts),
        wait=wait_exponential_jitter(multiplier=0.2, max=2),
        retry=_should_retry,
        retry_error_callback=_last_outcome,
    )
    outcome: Credentials | Failure = retrying(assume_chain, Sts(config), config)
    return outcome


def assume_chain(sts: Sts, config: Config) -> Credentials | Failure:
    """Assume every role of the chain once. It starts with the token in the file, or with the node's role."""
    uses_token = config.credential_source == CredentialSource.WEB_IDENTITY
    identity: CallerIdentity | Failure = load_token(config) if uses_token else load_node_keys(config)
    outcome: Credentials | Failure = UNREADABLE
    for role in build_chain(config):
        if isinstance(identity, Failure):
            return identity
        outcome = assume_role(sts, role, identity)
        if isinstance(outcome, Failure):
            return outcome
        identity = AccessKeys(role.role_arn, outcome.access_key_id, outcome.secret_access_key, outcome.session_token)
    return outcome


def build_chain(config: Config) -> tuple[ChainedRole, ...]:
    """The roles in order. Only the last session has the pod's tags and duration."""
    *intermediate, last = config.chain
    parameters: dict[str, Any] = {"DurationSeconds": config.session_duration_seconds}
    if config.external_id:
        parameters["ExternalId"] = config.external_id
    if config.session_tags:
        parameters["Tags"] = [{"Key": key, "Value": value} for key, value in config.session_tags]
    short_session = {"DurationSeconds": MIN_SESSION_SECONDS}
    roles = [*((role_arn, short_session) for role_arn in intermediate), (last, parameters)]
    return tuple(
        ChainedRole(
            role_arn,
            {"RoleArn": role_arn, "RoleSessionName": config.role_session_name, **specific},
            f"hop {number} of {len(roles)}" if intermediate else "",
        )
        for number, (role_arn, specific) in enumerate(roles, start=1)
    )


def load_token(config: Config) -> Token | Failure:
    """Read the token file. The kubelet replaces it before the token expires."""
    try:
        token = Path(config.token_file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        return Failure("TokenUnreadable", f"{config.token_file}: {error}", is_permanent=False)
    if not token:
        return Failure("TokenEmpty", f"{config.token_file} is empty", is_permanent=False)
    return Token(token)


def load_node_keys(config: Config) -> AccessKeys | Failure:
    """Get the access keys of the node's role from its metadata service."""
    problem = f"the node's metadata service at {config.node_metadata_endpoint} returned no credentials of a role"
    try:
        keys = fetch_node_keys(config)
    except BotoCoreError as error:
        keys, problem = None, f"{problem}: {error}"
    return keys or Failure("NodeCredentialsMissing", problem, is_permanent=False)


def assume_role(sts: Sts, role: ChainedRole, identity: CallerIdentity) -> Credentials | Failure:
    """Assume one role once; in a chain, a failure's message names both roles."""
    outcome: Credentials | Failure
    try:
        outcome = parse_response(sts.assume(role.parameters, identity), role.role_arn, time.time())
    except ClientError as error:
        outcome = classify(error.response)
    except BotoCoreError as error:
        outcome = Failure(type(error).__name__, str(error), is_permanent=False)
    except ResponseParserError:  # its message quotes the response, and a truncated response may contain a key
        outcome = UNREADABLE
    is_chained = isinstance(identity, AccessKeys)
    if not isinstance(outcome, Failure) or not (role.position or is_chained):
        return outcome
    context = ", ".join(filter(None, (role.position, f"{identity.owner} assumes {role.role_arn}")))
    return outcome._replace(message=f"{outcome.message} ({context})", is_chained=is_chained)


def _should_retry(state: RetryCallState) -> bool:
    outcome = _last_outcome(state)
    if not isinstance(outcome, Failure):
        return False
    return not outcome.is_permanent or (outcome.code in RETRY_ONCE_CODES and state.attempt_number == 1)


def exit_with_parent() -> None:
    """Exit when standard input closes: the parent has died."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def _last_outcome(state: RetryCallState) -> Any:
    return state.outcome.result() if state.outcome else None


def main(attempts: int) -> None:
    """Print the outcome and exit at once: a normal exit of the interpreter takes 50 ms to free memory."""
    threading.Thread(target=exit_with_parent, daemon=True).start()
    outcome = fetch(Config.from_environ(os.environ), attempts)
    print(serialize_outcome(outcome), flush=True)  # noqa: T201
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
