"""XML documents."""

import re

from sidecar.sts.errors import MESSAGE_LENGTH
from testing.services.faulty_sts import NAMESPACE
from tests.integration.sidecar.sts_answers.answer import (
    CRASHED,
    GRANT,
    GRANTED,
    INCOMPLETE,
    INVALID,
    UNREADABLE,
    Answer,
    build_error,
    build_response,
    grant_with,
)

FORMS = [
    Answer("grant", build_response(200, GRANT), GRANTED),
    Answer("grant-201", build_response(201, GRANT), GRANTED),
    Answer("wrong-content-type", build_response(200, GRANT).replace(b"text/xml", b"text/html"), GRANTED),
    Answer("no-content-type", build_response(200, GRANT).replace(b"Content-Type: text/xml\r\n", b""), GRANTED),
    Answer(
        "chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(GRANT), GRANT.encode()),
        GRANTED,
    ),
    Answer("until-the-end", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + GRANT.encode(), GRANTED),
    Answer("http-1.0", b"HTTP/1.0 200 OK\r\n\r\n" + GRANT.encode(), GRANTED),
    Answer("continue", b"HTTP/1.1 100 Continue\r\n\r\n" + build_response(200, GRANT), GRANTED),
    Answer(
        "early-hints",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + build_response(200, GRANT),
        GRANTED,
        boto3_code=UNREADABLE,
        reason="http.client skips only 100, against RFC 9110",
    ),
    Answer("declaration", build_response(200, '<?xml version="1.0" encoding="UTF-8"?>\n' + GRANT), GRANTED),
    Answer("byte-order-mark", build_response(200, "\ufeff" + GRANT), GRANTED),
    Answer(
        "comments", build_response(200, GRANT.replace("<Credentials>", "<!-- a --><Credentials><!-- b -->")), GRANTED
    ),
    Answer(
        "prefix", build_response(200, re.sub("<(/?)(?=[A-Z])", r"<\1s:", GRANT).replace("xmlns=", "xmlns:s=")), GRANTED
    ),
    Answer("no-namespace", build_response(200, GRANT.replace(f' xmlns="{NAMESPACE}"', "")), GRANTED),
    Answer("other-root", build_response(200, GRANT.replace("AssumeRoleWithWebIdentityResponse", "Response")), GRANTED),
    Answer("attributes", build_response(200, GRANT.replace("<Credentials>", '<Credentials a="b">')), GRANTED),
    Answer("escaped-text", build_response(200, grant_with(SecretAccessKey="a&amp;b&#47;c&lt;")), GRANTED),
    Answer("cdata", build_response(200, grant_with(SecretAccessKey="<![CDATA[a/b]]>")), GRANTED),
    Answer(
        "repeated-date",
        build_response(200, GRANT, "Date: Sun, 29 Nov 2026 22:21:31 GMT", "Date: Sun, 29 Nov 2026 22:21:32 GMT"),
        GRANTED,
        boto3_code=GRANTED,
        reason="two dates are no date; email.utils takes the first",
    ),
    Answer(
        "errors-element",
        build_response(400, "<R><Errors><Error><Code>A</Code><Message>m</Message></Error></Errors></R>"),
        "A",
        is_permanent=True,
        message="m",
    ),
    Answer(
        "no-message", build_response(400, "<R><Error><Code>A</Code></Error></R>"), "A", is_permanent=True, message=""
    ),
    Answer("no-code", build_response(400, "<R><Error><Message>m</Message></Error></R>"), UNREADABLE),
    Answer("empty-code", build_response(400, "<R><Error><Code/><Message>m</Message></Error></R>"), UNREADABLE),
    Answer(
        "escaped-message",
        build_response(403, build_error("A", "&lt;b&gt; &#228;\u00e4")),
        "A",
        is_permanent=True,
        message="<b> \\xe4\\xe4",  # both forms of the letter are read, and printed as ASCII
    ),
    Answer(
        "long-message",
        build_response(403, build_error("A", "m" * MESSAGE_LENGTH)),
        "A",
        is_permanent=True,
        message="m" * MESSAGE_LENGTH,
    ),
    Answer(
        "error-with-status-200",
        build_response(200, build_error("A")),
        UNREADABLE,
        boto3_code=CRASHED,
        reason="KeyError",
    ),
    Answer("grant-with-status-400", build_response(400, GRANT), UNREADABLE),
]
FIELDS = [
    *(
        Answer(f"without-{name}", build_response(200, grant_with(**{name: None})), INCOMPLETE)
        for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
    ),
    Answer("empty-access-key", build_response(200, grant_with(AccessKeyId="")), INCOMPLETE),
    Answer(
        "no-fields",
        build_response(200, grant_with(AccessKeyId=None, SecretAccessKey=None, SessionToken=None, Expiration=None)),
        INCOMPLETE,
    ),
    Answer("empty-result", build_response(200, "<R><AssumeRoleWithWebIdentityResult/></R>"), INCOMPLETE),
    *(
        Answer(f"{kind}-after-the-document", build_response(200, GRANT + text), UNREADABLE)
        for kind, text in {"text": "more", "document": GRANT, "nul": "\0"}.items()
    ),
    Answer(
        "result-of-another-action",
        build_response(200, GRANT.replace("WithWebIdentity", "")),
        UNREADABLE,
        boto3_code=CRASHED,
        reason="KeyError",
    ),
    Answer("no-result", build_response(200, "<R/>"), UNREADABLE, boto3_code=CRASHED, reason="KeyError"),
    Answer("fields-in-another-place", build_response(200, GRANT.replace("Credentials>", "Other>")), INCOMPLETE),
    Answer(
        "field-twice",
        build_response(200, grant_with(AccessKeyId="A</AccessKeyId><AccessKeyId>B")),
        INVALID,
        boto3_code=GRANTED,
        reason="it takes the first",
    ),
    *(
        Answer(
            f"{name}-{problem}",
            build_response(200, grant_with(**{name: value})),
            INVALID,
            boto3_code=boto3_code,
            reason="boto3 checks no value",
        )
        for problem, value, boto3_code in (
            ("nested", "<a>b</a>", INCOMPLETE),
            ("nested-in-text", "a<b/>c", GRANTED),
            ("with-a-line-break", "a&#13;&#10;b", GRANTED),
            ("with-a-blank", "a b", GRANTED),
            ("with-other-letters", "\u00e4", GRANTED),
            ("huge", "a" * 20_000, GRANTED),
        )
        for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")
    ),
    Answer("wrong-namespace", build_response(200, GRANT.replace(NAMESPACE, "urn:other")), GRANTED),
    Answer(
        "result-twice",
        build_response(
            200, GRANT.replace("<ResponseMetadata>", "<AssumeRoleWithWebIdentityResult/><ResponseMetadata>")
        ),
        UNREADABLE,
        boto3_code=GRANTED,
        reason="it takes the first",
    ),
    Answer(
        "credentials-twice",
        build_response(
            200, GRANT.replace("<Provider>", "<Credentials><AccessKeyId>B</AccessKeyId></Credentials><Provider>")
        ),
        INVALID,
        boto3_code=GRANTED,
        reason="it takes the first",
    ),
]
BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 20))
BOMBS = [
    Answer("billion-laughs", build_response(200, f'<!DOCTYPE a [<!ENTITY e0 "lol">{BOMB}]><a>&e19;</a>'), UNREADABLE),
    Answer(
        "entity-in-a-key",
        build_response(200, f'<!DOCTYPE a [<!ENTITY e "x">]>{grant_with(AccessKeyId="&e;")}'),
        UNREADABLE,
        boto3_code=GRANTED,
        reason="no document type is accepted",
    ),
    Answer(
        "document-type",
        build_response(200, f"<!DOCTYPE a>{GRANT}"),
        UNREADABLE,
        boto3_code=GRANTED,
        reason="no document type is accepted",
    ),
    Answer(
        "external-entity",
        build_response(200, f'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>{grant_with(AccessKeyId="&e;")}'),
        UNREADABLE,
        reason="no document type is accepted",
    ),
    Answer("unknown-entity", build_response(200, grant_with(AccessKeyId="&e;")), UNREADABLE),
    Answer(
        "deep",
        build_response(200, "<a>" * 9000 + "</a>" * 9000),
        UNREADABLE,
        boto3_code=CRASHED,
        reason="a limit on depth",
    ),
    Answer(
        "many-attributes", build_response(400, "<a " + " ".join(f"a{n}='b'" for n in range(4000)) + "/>"), UNREADABLE
    ),
    Answer("other-encoding", build_response(200, '<?xml version="1.0" encoding="UTF-16"?>' + GRANT), GRANTED),
]
