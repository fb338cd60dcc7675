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
from sidecar.sts.client import Keys, Proof, Sts, Token, fetch_node_keys
from sidecar.sts.errors import REREAD_CODES, UNREADABLE, classify, parse_response

SHORTEST_SESSION_SECONDS = 900
"""For a role that is only there to assume the next one. STS gives no shorter sessions."""


class Hop(NamedTuple):
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
    proof = load_token(config) if config.source == contract.SOURCE_WEB_IDENTITY else load_node_keys(config)
    for hop in build_hops(config):
        if isinstance(proof, Failure):
            return proof
        outcome = ask_for(sts, hop, proof)
        if isinstance(outcome, Failure):
            return outcome
        names = ("access_key_id", "secret_access_key", "session_token")
        proof = Keys(hop.role_arn, *(outcome[name] for name in names))
    return outcome


def build_hops(config: Config) -> tuple[Hop, ...]:
    """The roles in turn. Only the last session is used by the pod: only it has the pod's tags and duration."""
    *before, last = config.chain
    wanted: dict[str, Any] = {"DurationSeconds": config.session_duration_seconds}
    if config.external_id:
        wanted["ExternalId"] = config.external_id
    if config.session_tags:
        wanted["Tags"] = [{"Key": key, "Value": value} for key, value in config.session_tags]
    asked = [*((role_arn, {"DurationSeconds": SHORTEST_SESSION_SECONDS}) for role_arn in before), (last, wanted)]
    return tuple(
        Hop(
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
        return Failure("TokenUnreadable", f"{config.token_file}: {error}", is_final=False)
    if not token:
        return Failure("TokenEmpty", f"{config.token_file} is empty", is_final=False)
    return Token(token)


def load_node_keys(config: Config) -> Keys | Failure:
    """Ask the node's metadata service for the keys of the node's role."""
    problem = f"the node's metadata service at {config.node_metadata_endpoint} gave no credentials of a role"
    try:
        keys = fetch_node_keys(config)
    except BotoCoreError as error:
        keys, problem = None, f"{problem}: {error}"
    return keys or Failure("NodeCredentialsMissing", problem, is_final=False)


def ask_for(sts: Sts, hop: Hop, proof: Proof) -> dict[str, Any] | Failure:
    """Ask for one role once; a failure of a chain names the two that it is between."""
    try:
        outcome = parse_response(sts.assume(hop.parameters, proof), time.time())
    except ClientError as error:
        outcome = classify(error.response)
    except BotoCoreError as error:
        outcome = Failure(type(error).__name__, str(error), is_final=False)
    except ResponseParserError:  # its text would quote the answer, and an answer cut short can hold a key
        outcome = UNREADABLE
    is_chained = isinstance(proof, Keys)
    if not isinstance(outcome, Failure) or not (hop.place or is_chained):
        return outcome
    between = f"{proof.owner} assumes {hop.role_arn}"
    told = ", ".join(filter(None, (hop.place, between)))
    return replace(outcome, message=f"{outcome.message} ({told})", is_chained=is_chained)


def _is_worth_another(state: RetryCallState) -> bool:
    outcome = _last_outcome(state)
    if not isinstance(outcome, Failure):
        return False
    return not outcome.is_final or (outcome.code in REREAD_CODES and state.attempt_number == 1)


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
