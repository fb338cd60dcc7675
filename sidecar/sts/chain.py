"""Signed calls: each role of a chain is assumed with the keys of the one before it. boto3 signs, tenacity retries.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
"""

from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError
from tenacity import RetryCallState, Retrying, stop_after_attempt, wait_exponential_jitter

from contract.modes import CredentialSource
from contract.text import quote
from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure
from sidecar.deadlines import STS_FIRST_RETRY_SECONDS, STS_LONGEST_RETRY_SECONDS
from sidecar.sts.client import AccessKeys, Sts
from sidecar.sts.errors import MESSAGE_LENGTH, UNREADABLE
from sidecar.sts.node_keys import fetch_node_keys
from sidecar.sts.response import Requested
from sidecar.sts.retry import Sleep, should_retry
from sidecar.sts.web_identity import assume_role, call_sts

MIN_SESSION_SECONDS = 900
"""For a role that only assumes the next one. STS issues no shorter sessions."""


class ChainedRole(NamedTuple):
    """One role to assume (AWS: role chaining), and the parameters of the call."""

    role_arn: str
    parameters: dict[str, Any]
    position: str
    """Such as `hop 1 of 2`; empty without a chain."""


def fetch_signed(config: Config, attempts: int, sleep: Sleep) -> Credentials | Failure:
    """Assume the roles in order; retry the whole chain after transient errors."""
    retrying = Retrying(
        sleep=sleep,
        stop=stop_after_attempt(attempts),
        wait=wait_exponential_jitter(multiplier=STS_FIRST_RETRY_SECONDS, max=STS_LONGEST_RETRY_SECONDS),
        retry=lambda state: should_retry(_last_outcome(state), state.attempt_number),
        retry_error_callback=_last_outcome,
    )
    outcome: Credentials | Failure = retrying(assume_chain, Sts(config), config)
    return outcome


def assume_chain(sts: Sts, config: Config) -> Credentials | Failure:
    """Assume every role of the chain once. It starts with the token in the file, or with the node's role."""
    roles = build_chain(config)
    keys: AccessKeys | Failure
    if config.credential_source is CredentialSource.NODE:
        keys = fetch_node_keys(config.node_metadata_endpoint)
    else:
        first, *roles = roles
        outcome = assume_role(config, first.role_arn, first.parameters["DurationSeconds"])
        keys = take_keys(add_context(outcome, first, "the web identity"))
    outcome = UNREADABLE
    for role in roles:
        if isinstance(keys, Failure):
            return keys
        outcome = assume_with_keys(sts, config, role, keys)
        keys = take_keys(outcome)
    return outcome


def build_chain(config: Config) -> list[ChainedRole]:
    """The roles in order. Only the last session has the pod's tags and duration."""
    *intermediate, last = config.chain
    parameters: dict[str, Any] = {"DurationSeconds": config.session_duration_seconds}
    if config.external_id:
        parameters["ExternalId"] = config.external_id
    if config.session_tags:
        parameters["Tags"] = [{"Key": key, "Value": value} for key, value in config.session_tags]
    short_session = {"DurationSeconds": MIN_SESSION_SECONDS}
    roles = [*((role_arn, short_session) for role_arn in intermediate), (last, parameters)]
    return [
        ChainedRole(
            role_arn,
            {"RoleArn": role_arn, "RoleSessionName": config.role_session_name, **specific},
            f"hop {number} of {len(roles)}" if intermediate else "",
        )
        for number, (role_arn, specific) in enumerate(roles, start=1)
    ]


def take_keys(outcome: Credentials | Failure) -> AccessKeys | Failure:
    """The keys with which the next role is assumed."""
    if isinstance(outcome, Failure):
        return outcome
    return AccessKeys(outcome.role_arn, outcome.access_key_id, outcome.secret_access_key, outcome.session_token)


def assume_with_keys(sts: Sts, config: Config, role: ChainedRole, keys: AccessKeys) -> Credentials | Failure:
    """Assume one role once."""
    outcome: Credentials | Failure
    try:
        request = sts.sign(role.parameters, keys)
    except BotoCoreError as error:
        outcome = Failure(type(error).__name__, quote(str(error), MESSAGE_LENGTH), is_permanent=False)
    else:
        requested = Requested("AssumeRole", role.role_arn, role.parameters["DurationSeconds"])
        outcome = call_sts(config, request, requested)
    return add_context(outcome, role, keys.owner, is_chained=True)


def add_context(
    outcome: Credentials | Failure, role: ChainedRole, caller: str, *, is_chained: bool = False
) -> Credentials | Failure:
    """Name both roles in a failure's message."""
    if not isinstance(outcome, Failure):
        return outcome
    context = ", ".join(filter(None, (role.position, f"{caller} assumes {role.role_arn}")))
    return outcome._replace(message=f"{outcome.message} ({context})", is_chained=is_chained)


def _last_outcome(state: RetryCallState) -> Any:
    return state.outcome.result() if state.outcome else None
