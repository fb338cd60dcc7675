"""STS's error codes, statuses and the pages of proxies."""

import re

from testing.repository import ROOT
from tests.integration.sidecar.sts_answers.answer import CRASHED, UNREADABLE, Answer, build_error, build_response


def read_documented_codes() -> set[str]:
    """The error codes in the table of docs/sidecar.md."""
    page = (ROOT / "docs/sidecar.md").read_text()
    table = page[page.index("| code | at once |") : page.index("### Clocks")]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| ")]
    return {code.removesuffix("...") for row in rows for code in re.findall(r"`([A-Z]\w+(?:\.\.\.)?)`", row)}


STATUS_OF_CODE = {
    **dict.fromkeys(("ExpiredTokenException", "IDPCommunicationError", "Throttling", "ThrottlingException"), 400),
    **dict.fromkeys(("RequestThrottled", "RequestLimitExceeded", "SlowDown", "RequestTimeout"), 400),
    **dict.fromkeys(("TooManyRequests", "TooManyRequestsException"), 429),
}
TRANSIENT = [
    Answer(f"transient-{code}", build_response(status, build_error(code)), code, message="as STS words it")
    for code, status in STATUS_OF_CODE.items()
]
PERMANENT = [
    Answer(
        f"permanent-{code}",
        build_response(status, build_error(code)),
        code,
        is_permanent=True,
        message="as STS words it",
    )
    for code, status in {
        "InvalidIdentityToken": 400,
        "AccessDenied": 403,
        "IDPRejectedClaim": 403,
        "RegionDisabledException": 403,
        "ValidationError": 400,
        "MalformedPolicyDocument": 400,
        "PackedPolicyTooLarge": 400,
        "InvalidClientTokenId": 403,
        "SignatureDoesNotMatch": 403,
        "SomethingNew": 418,
    }.items()
]
STATUSES = [
    Answer(
        f"status-{status}-with-a-code",
        build_response(status, build_error("Oops")),
        "Oops",
        permanent,
        "as STS words it",
    )
    for status, permanent in {301: True, 400: True, 404: True, 429: False, 500: False, 503: False, 599: False}.items()
]
PAGES = [
    *(
        Answer(f"html-{status}", build_response(status, "<html><h1>No</h1></html>"), UNREADABLE)
        for status in (400, 403, 404, 407)
    ),
    *(
        Answer(f"html-{status}", build_response(status, "<html><h1>No</h1></html>"), str(status), message=phrase)
        for status, phrase in {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}.items()
    ),
    Answer(
        "html-200", build_response(200, "<html><h1>No</h1></html>"), UNREADABLE, boto3_code=CRASHED, reason="KeyError"
    ),
    Answer(
        "html-300",
        build_response(300, "<html/>"),
        UNREADABLE,
        boto3_code=CRASHED,
        reason="takes 300 for OK",
    ),
    Answer("html-599", build_response(599, "<html></html>"), "599", message=""),
    Answer("empty-503", build_response(503, ""), "503", message="Service Unavailable"),
    Answer("blank-502", build_response(502, " \n"), "502", message="Bad Gateway"),
    Answer("html-not-well-formed", build_response(200, "<html><title>Hotel</title>"), UNREADABLE),
    Answer("doctype-html-503", build_response(503, "<!DOCTYPE html><html></html>"), UNREADABLE),
    Answer("text-503", build_response(503, "upstream is away"), UNREADABLE),
    Answer("json-error", build_response(403, '{"Error": {"Code": "AccessDenied"}}'), UNREADABLE),
    Answer("json-grant", build_response(200, '{"Credentials": {}}'), UNREADABLE),
    Answer("empty-200", build_response(200, ""), UNREADABLE),
    Answer("empty-400", build_response(400, ""), UNREADABLE),
    Answer("no-content", b"HTTP/1.1 204 No Content\r\n\r\n", UNREADABLE),
    Answer("binary", build_response(200, bytes(range(256))), UNREADABLE),
]
REDIRECTS = [
    Answer(f"redirect-{status}", build_response(status, "", "Location: http://127.0.0.1:1/stolen"), UNREADABLE)
    for status in (301, 302, 303, 307, 308)
]
