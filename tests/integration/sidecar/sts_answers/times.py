"""Forms of Expiration and of the header Date."""

from tests.integration.sidecar.sts_answers.answer import (
    CRASHED,
    GRANT,
    GRANTED,
    INCOMPLETE,
    Answer,
    build_response,
    grant_with,
)

EXPIRATIONS = [
    *(
        Answer(f"expiration-{text}", build_response(200, grant_with(Expiration=text)), GRANTED)
        for text in (
            "2030-01-01T00:00:00Z",
            "2030-01-01T00:00:00.999Z",
            "2030-01-01T00:00:00.123456789Z",
            "2030-01-01T00:00:00+00:00",
            "2030-01-01T02:30:00+02:30",
            "2029-12-31T16:00:00-08:00",
            "2028-02-29T00:00:00Z",
            "2100-02-28T23:59:59Z",
        )
    ),
    *(
        Answer(
            f"expiration-{text}",
            build_response(200, grant_with(Expiration=text)),
            INCOMPLETE,
            boto3_code=GRANTED,
            reason="only the format that STS sends, RFC 3339 with a zone",
        )
        for text in (
            "1893456000",
            "1.8e9",
            "2030-01-01",
            "2030-01-01 00:00:00Z",
            "Tue, 01 Jan 2030 00:00:00 GMT",
            "20300101T000000Z",
            "2030-01-01T00:00:00",
            "2030-01-01T00:00:00z",
            "12",
        )
    ),
    *(
        Answer(
            f"expiration-{text}",
            build_response(200, grant_with(Expiration=text)),
            INCOMPLETE,
            boto3_code=CRASHED,
            reason="ValueError",
        )
        for text in (
            "tomorrow",
            "2030-13-01T00:00:00Z",
            "2030-02-29T00:00:00Z",
            "2030-01-01T25:00:00Z",
            "0000-01-01T00:00:00Z",
        )
    ),
]
DATES = [
    Answer(f"date-{name}", build_response(200, GRANT, f"Date: {text}"), GRANTED)
    for name, text in {
        "now-and-then": "Sun, 29 Nov 2026 22:21:31 GMT",
        "long-ago": "Thu, 01 Jan 1970 00:00:00 GMT",
        "far-ahead": "Fri, 31 Dec 9999 23:59:59 GMT",
        "empty": "",
        "words": "yesterday",
        "no-day": "Tue, 99 Nov 2026 25:00:00 GMT",
        "no-month": "Tue, 10 Foo 2026 25:00:00 GMT",
        "number": "1795990891",
    }.items()
]
