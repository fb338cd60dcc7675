"""Reads STS's responses to AssumeRoleWithWebIdentity and AssumeRole. Pure functions.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

from collections.abc import Mapping
from typing import NamedTuple

from sidecar.credentials.credentials import MAX_TIMESTAMP, MIN_TIMESTAMP, Credentials
from sidecar.credentials.schedule import Failure
from sidecar.http_client.response import Response
from sidecar.sts.errors import UNREADABLE, classify
from sidecar.sts.fields import MAX_LENGTHS, find_problem, malformed
from sidecar.sts.lifetime import find_lifetime, read_date
from sidecar.sts.timestamps import parse_expiration
from sidecar.sts.xml_fields import FieldError, read_fields
from sidecar.time_format import format_time

ERRORS = {f"{parent}/{name}": name for parent in ("Error", "Errors/Error") for name in ("Code", "Message")}

CLOCK_OUT_OF_RANGE = Failure(
    "ClockOutOfRange", "this node's clock is beyond the years that AWS's times can express", is_permanent=False
)

FIRST_ERROR = 300
FIRST_SERVER_ERROR = 500


class Requested(NamedTuple):
    """What a response is held against."""

    action: str
    role_arn: str
    duration_seconds: int


def parse_response(response: Response, requested: Requested, now: float) -> Credentials | Failure:
    """Turn any response into credentials or a failure. Redirects are not followed: they are failures."""
    if response.status >= FIRST_ERROR:
        return parse_error(response)
    result = f"{requested.action}Result"
    paths = {result: result, **{f"{result}/Credentials/{name}": name for name in MAX_LENGTHS}}
    try:
        fields = read_fields(response.body, paths, leaves=MAX_LENGTHS)
    except FieldError as error:
        return malformed(error.name, error.problem) if error.name in MAX_LENGTHS else UNREADABLE
    except ValueError:
        return UNREADABLE
    if result not in fields:
        return UNREADABLE
    return find_problem(fields) or build_credentials(fields, response.headers.get("date"), requested, now)


def build_credentials(
    fields: Mapping[str, str], date: str | None, requested: Requested, now: float
) -> Credentials | Failure:
    """Build a role's credentials from fields that have no problem; a failure if they do not live long enough."""
    if not MIN_TIMESTAMP <= int(now) <= MAX_TIMESTAMP - requested.duration_seconds:
        return CLOCK_OUT_OF_RANGE
    lifetime = find_lifetime(parse_expiration(fields["Expiration"]), date, now, requested.duration_seconds)
    if lifetime is None:
        return _describe_end(fields["Expiration"], date, now)
    return Credentials(
        role_arn=requested.role_arn,
        access_key_id=fields["AccessKeyId"],
        secret_access_key=fields["SecretAccessKey"],
        session_token=fields["SessionToken"],
        obtained_at=int(now),
        expires_at=lifetime.expires_at,
        clock_ahead_seconds=lifetime.clock_ahead_seconds,
        ignores_expiration=lifetime.ignores_expiration,
        ignores_date=lifetime.ignores_date,
    )


def _describe_end(expiration: str, date: str | None, now: float) -> Failure:
    sts = read_date(date)
    clocks = f"its Date is {'missing or malformed' if sts is None else format_time(sts)}"
    message = f"STS's Expiration is {expiration}, but {clocks}, and this node's clock says {format_time(now)}"
    return Failure("ExpirationPassed", message, is_permanent=False)


def parse_error(response: Response) -> Failure:
    """Read STS's error; a load balancer's page of a server error is named by its status, as in botocore."""
    page = response.body.strip()
    if response.status >= FIRST_SERVER_ERROR and (not page or page.startswith(b"<html>")):
        return classify(str(response.status), _find_phrase(response.status), response.status)
    try:
        fields = read_fields(response.body, ERRORS)
    except ValueError:
        return UNREADABLE
    return classify(fields.get("Code", ""), fields.get("Message", ""), response.status)


def _find_phrase(status: int) -> str:
    from http import HTTPStatus  # noqa: PLC0415 - only for this error

    return HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
