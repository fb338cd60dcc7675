"""Forms of Expiration and of the header Date."""

from tests.integration.sidecar.sts_answers.answer import (
    CRASHED,
    GRANT,
    GRANTED,
    INVALID,
    PASSED,
    Answer,
    build_response,
    grant_with,
)

EXPIRATIONS = [
    *(
        Answer(f"expiration-{text}", build_response(200, grant_with(Expiration=text)), GRANTED)
        for text in (
            "2026-11-29T22:56:40Z",
            "2026-11-29T22:56:40.999Z",
            "2026-11-29T22:56:40.123456789Z",
            "2026-11-29T22:56:40+00:00",
            "2026-11-30T01:26:40+02:30",
            "2026-11-29T14:56:40-08:00",
            "2026-11-29T23:07:09Z",
        )
    ),
    *(
        Answer(
            f"expiration-{text}",
            build_response(200, grant_with(Expiration=text)),
            GRANTED,
            boto3_code=GRANTED,
            reason="no session lives longer than was requested",
        )
        for text in (
            "2026-11-29T23:07:11Z",
            "2026-11-30T10:00:00Z",
            "2028-02-29T00:00:00Z",
            "2100-02-28T23:59:59Z",
            "9999-12-31T23:59:59Z",
        )
    ),
    *(
        Answer(
            f"expiration-{text}",
            build_response(200, grant_with(Expiration=text)),
            PASSED,
            boto3_code=GRANTED,
            reason="credentials that have expired cannot be served",
        )
        for text in (
            "1970-01-01T00:00:00Z",
            "2000-02-29T00:00:00Z",
            "2026-11-29T22:06:39Z",
            "2026-11-29T22:06:40Z",
            "2026-11-29T22:07:40Z",
        )
    ),
    *(
        Answer(
            f"expiration-{text}",
            build_response(200, grant_with(Expiration=text)),
            INVALID,
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
            "0",
            "-1",
            "-0001-01-01T00:00:00Z",
        )
    ),
    *(
        Answer(
            f"expiration-{text}",
            build_response(200, grant_with(Expiration=text)),
            INVALID,
            boto3_code=CRASHED,
            reason="ValueError",
        )
        for text in (
            "tomorrow",
            "2030-13-01T00:00:00Z",
            "2030-02-29T00:00:00Z",
            "2030-01-01T25:00:00Z",
            "0000-01-01T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "2026-11-29T22:56:40+99:99",
        )
    ),
]
DATES = [
    *(
        Answer(f"date-{name}", build_response(200, GRANT, f"Date: {text}"), GRANTED)
        for name, text in {
            "minutes-ahead": "Sun, 29 Nov 2026 22:21:31 GMT",
            "as-much-behind-as-the-session-allows": "Sun, 29 Nov 2026 21:56:10 GMT",
            "empty": "",
            "words": "yesterday",
            "no-day": "Tue, 99 Nov 2026 25:00:00 GMT",
            "no-month": "Tue, 10 Foo 2026 25:00:00 GMT",
            "number": "1795990891",
        }.items()
    ),
    *(
        Answer(
            f"date-{name}",
            build_response(200, GRANT, f"Date: {text}"),
            GRANTED,
            boto3_code=GRANTED,
            reason="a Date that the Expiration contradicts is not used",
        )
        for name, text in {
            "long-ago": "Thu, 01 Jan 1970 00:00:00 GMT",
            "far-ahead": "Fri, 31 Dec 9999 23:59:59 GMT",
            "longer-before-than-the-session-lives": "Sun, 29 Nov 2026 21:50:00 GMT",
            "after-the-expiration": "Sun, 29 Nov 2026 22:56:41 GMT",
        }.items()
    ),
]
