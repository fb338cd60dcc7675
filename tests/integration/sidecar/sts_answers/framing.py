"""Responses that HTTP cuts, or that are larger than the limits."""

from sidecar.sts.errors import CODE_LENGTH, MESSAGE_LENGTH
from tests.integration.sidecar.sts_answers.answer import (
    CLOSED,
    GRANT,
    GRANTED,
    UNREADABLE,
    Answer,
    build_error,
    build_response,
)

TRUNCATED = [
    Answer("closed-at-once", lambda one: one.socket.shutdown(2), CLOSED),
    Answer("in-the-status-line", b"HTTP/1.1 2", CLOSED),
    Answer(
        "in-the-head",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        CLOSED,
        boto3_code=UNREADABLE,
        reason="http.client takes it for the end of the head",
    ),
    Answer(
        "in-the-body",
        build_response(200, GRANT)[:-100],
        CLOSED,
        boto3_code=UNREADABLE,
        reason="botocore does not check the length",
    ),
    Answer(
        "after-the-credentials",
        build_response(200, GRANT + " " * 50)[:-50],
        CLOSED,
        boto3_code=GRANTED,
        reason="botocore does not check the length",
    ),
    Answer("in-a-chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n<a" % len(GRANT), CLOSED),
    Answer(
        "before-the-last-chunk",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(GRANT), GRANT.encode()),
        CLOSED,
    ),
    Answer("body-without-a-length", b"HTTP/1.1 200 OK\r\n\r\n" + GRANT[:-100].encode(), UNREADABLE),
    Answer("not-http", b"SSH-2.0-OpenSSH_9.2\r\n", CLOSED),
    *(
        Answer(f"status-{status}", b"HTTP/1.1 %s OK\r\n\r\n%s" % (status.encode(), GRANT.encode()), CLOSED)
        for status in ("000", "099")
    ),
    Answer(
        "body-of-status-099-before-the-response",
        b"HTTP/1.1 099 OK\r\nContent-Length: 3\r\n\r\n<R>" + build_response(200, GRANT),
        CLOSED,
    ),
    Answer(
        "two-lengths",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n" + build_response(200, GRANT)[17:],
        CLOSED,
        boto3_code=UNREADABLE,
        reason="two lengths are an attack or an error",
    ),
]
LARGE = [
    Answer(
        "huge-message",
        build_response(403, build_error("AccessDenied", "m" * 60_000)),
        "AccessDenied",
        is_permanent=True,
        message="m" * MESSAGE_LENGTH + "...",
        boto3_code="AccessDenied",
        reason="a message is cut",
    ),
    Answer(
        "huge-code",
        build_response(400, build_error("C" * 60_000)),
        "C" * CODE_LENGTH + "...",
        is_permanent=True,
        boto3_code="C" * 60_000,
        reason="a code is cut",
    ),
    Answer(
        "larger-than-64-kib",
        build_response(403, build_error("AccessDenied", "m" * 66_000)),
        UNREADABLE,
        boto3_code="AccessDenied",
        reason="a limit on size",
    ),
    Answer(
        "many-headers",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + build_response(200, GRANT)[17:],
        UNREADABLE,
        boto3_code=CLOSED,
        reason="as boto3: over 100",
    ),
]
