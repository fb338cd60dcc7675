"""Reads STS's response to AssumeRoleWithWebIdentity. Pure functions.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
"""

from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure
from sidecar.http_client.response import Response
from sidecar.sts.errors import REQUIRED_FIELDS, UNREADABLE, build_credentials, classify, find_missing
from sidecar.sts.timestamps import parse_expiration
from sidecar.sts.xml_fields import read_fields

RESULT = "AssumeRoleWithWebIdentityResult"
CREDENTIALS = {RESULT: RESULT, **{f"{RESULT}/Credentials/{name}": name for name in REQUIRED_FIELDS}}
ERRORS = {f"{parent}/{name}": name for parent in ("Error", "Errors/Error") for name in ("Code", "Message")}

FIRST_ERROR = 300
FIRST_SERVER_ERROR = 500


def parse_response(response: Response, role_arn: str, now: float) -> Credentials | Failure:
    """Turn any response into credentials or a failure. Redirects are not followed: they are failures."""
    if response.status >= FIRST_ERROR:
        return parse_error(response)
    try:
        fields = read_fields(response.body, CREDENTIALS)
    except ValueError:
        return UNREADABLE
    if RESULT not in fields:
        return UNREADABLE
    if missing := find_missing(fields):
        return missing
    try:
        expires_at = parse_expiration(fields["Expiration"])
    except ValueError:
        return Failure("IncompleteResponse", "STS responded without a valid Expiration", is_permanent=False)
    return build_credentials(role_arn, fields, expires_at, response.headers.get("date"), now)


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
