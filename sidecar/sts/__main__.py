"""The exec'ed child: the roles of the chain, one after the other; the outcome as one JSON line on standard output.

With `sidecar.sts.client` the only importer of boto3 and tenacity: their memory, leaks and hangs end with this process.
Started by `sidecar.sts.process`.
"""

import json
import os
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from tenacity import RetryCallState, Retrying, stop_after_attempt, wait_exponential_jitter

import contract
from sidecar.config import Config
from sidecar.credentials.schedule import Failure
from sidecar.sts.client import AccessKeys, CallerIdentity, Sts, Token, fetch_node_keys
from sidecar.sts.errors import REREAD_CODES, UNREADABLE, classify, parse_response

SHORTEST_SESSION_SECONDS = 900
"""For a role that is only there to assume the next one. STS gives no shorter sessions."""


class ChainedRole(NamedTuple):
    """One role to assume, and what is asked for with it."""

    role_arn: str
    parameters: dict[str, Any]
    place: str
    """Which of how many; empty for the one that goes without saying."""


def fetch(config: Config, attempts: int) -> dict[str, Any] | Failure:
    """Ask STS, again after transient failures; return what `sidecar.sts.process` turns into credentials, or why not."""
    retrying = Retrying(
        stop=stop_after_attempt(attempts),
        wait=wait_exponential_jitter(multiplier=0.2, max=2),
        retry=_is_worth_another,
        retry_error_callback=_last_outcome,
    )
    outcome: dict[str, Any] | Failure = retrying(ask, Sts(config), config)
    return outcome


def ask(sts: Sts, config: Config) -> dict[str, Any] | Failure:
    """Ask for every role of the chain once, beginning with the token that lies in the file now, or with the node."""
    outcome: dict[str, Any] | Failure = UNREADABLE
    identity = (
        load_token(config) if config.credential_source == contract.SOURCE_WEB_IDENTITY else load_node_keys(config)
    )
    for role in build_chain(config):
        if isinstance(identity, Failure):
            return identity
        outcome = ask_for(sts, role, identity)
        if isinstance(outcome, Failure):
            return outcome
        names = ("access_key_id", "secret_access_key", "session_token")
        identity = AccessKeys(role.role_arn, *(outcome[name] for name in names))
    return outcome


def build_chain(config: Config) -> tuple[ChainedRole, ...]:
    """The roles in turn. Only the last session is used by the pod: only it has the pod's tags and duration."""
    *before, last = config.chain
    wanted: dict[str, Any] = {"DurationSeconds": config.session_duration_seconds}
    if config.external_id:
        wanted["ExternalId"] = config.external_id
    if config.session_tags:
        wanted["Tags"] = [{"Key": key, "Value": value} for key, value in config.session_tags]
    asked = [*((role_arn, {"DurationSeconds": SHORTEST_SESSION_SECONDS}) for role_arn in before), (last, wanted)]
    return tuple(
        ChainedRole(
            role_arn,
            {"RoleArn": role_arn, "RoleSessionName": config.session_name, **parameters},
            f"hop {number} of {len(asked)}" if before else "",
        )
        for number, (role_arn, parameters) in enumerate(asked, start=1)
    )


def load_token(config: Config) -> Token | Failure:
    """Read the token's file, which the kubelet replaces."""
    try:
        token = Path(config.token_file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        return Failure("TokenUnreadable", f"{config.token_file}: {error}", is_permanent=False)
    if not token:
        return Failure("TokenEmpty", f"{config.token_file} is empty", is_permanent=False)
    return Token(token)


def load_node_keys(config: Config) -> AccessKeys | Failure:
    """Ask the node's metadata service for the keys of the node's role."""
    problem = f"the node's metadata service at {config.node_metadata_endpoint} gave no credentials of a role"
    try:
        keys = fetch_node_keys(config)
    except BotoCoreError as error:
        keys, problem = None, f"{problem}: {error}"
    return keys or Failure("NodeCredentialsMissing", problem, is_permanent=False)


def ask_for(sts: Sts, role: ChainedRole, identity: CallerIdentity) -> dict[str, Any] | Failure:
    """Ask for one role once; a failure of a chain names the two that it is between."""
    try:
        outcome = parse_response(sts.assume(role.parameters, identity), time.time())
    except ClientError as error:
        outcome = classify(error.response)
    except BotoCoreError as error:
        outcome = Failure(type(error).__name__, str(error), is_permanent=False)
    except ResponseParserError:  # its text would quote the answer, and an answer cut short can hold a key
        outcome = UNREADABLE
    is_chained = isinstance(identity, AccessKeys)
    if not isinstance(outcome, Failure) or not (role.place or is_chained):
        return outcome
    between = f"{identity.owner} assumes {role.role_arn}"
    told = ", ".join(filter(None, (role.place, between)))
    return replace(outcome, message=f"{outcome.message} ({told})", is_chained=is_chained)


def _is_worth_another(state: RetryCallState) -> bool:
    outcome = _last_outcome(state)
    if not isinstance(outcome, Failure):
        return False
    return not outcome.is_permanent or (outcome.code in REREAD_CODES and state.attempt_number == 1)


def end_with_parent() -> None:
    """Wait for the end of standard input, which the sidecar holds open: nobody is left to read the outcome then."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def _last_outcome(state: RetryCallState) -> Any:
    return state.outcome.result() if state.outcome else None


def main() -> None:
    """Write the outcome and leave at once: a normal end of the interpreter takes 50 ms to free what it loaded."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    outcome = fetch(Config.from_environ(os.environ), attempts=int(sys.argv[1]))
    print(json.dumps(asdict(outcome) if isinstance(outcome, Failure) else outcome), flush=True)  # noqa: T201
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
