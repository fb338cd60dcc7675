"""Which responses count as access to the node's metadata."""

import pytest

from sidecar.errors import OpenMetadataError
from sidecar.reachability.connections import CONNECTED, NO_ROUTE, REFUSED, TIMED_OUT, Outcome
from sidecar.reachability.measurement import TOKEN, WITHOUT_TOKEN, Access, Measurement, judge

NOTHING = "gives neither tokens nor metadata"
WITHOUT = "gives metadata without a token"

VANISHED = Outcome(CONNECTED)
"""The connection works and no response arrives, as with a hop limit of 1."""

TOKEN_GIVEN = Outcome(CONNECTED, b"HTTP/1.1 200 OK\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 1\r\n\r\nAQAEexample==")
LISTING = Outcome(CONNECTED, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nami-id\niam/\n")
PAGE = Outcome(CONNECTED, b"HTTP/1.1 200 OK\r\n\r\n\n <!doctype html><title>Log in</title>")


def respond(status: str, rest: bytes = b"\r\n\r\n") -> Outcome:
    return Outcome(CONNECTED, f"HTTP/1.1 {status}".encode() + rest)


@pytest.mark.parametrize(
    ("token", "metadata", "reason"),
    [
        pytest.param(TOKEN_GIVEN, respond("401 Unauthorized"), "gives session tokens", id="only-version-2"),
        pytest.param(VANISHED, LISTING, WITHOUT, id="version-1-with-hop-limit-1"),
        pytest.param(respond("403 Forbidden"), LISTING, WITHOUT, id="only-version-1"),
        pytest.param(TOKEN_GIVEN, LISTING, "gives session tokens and metadata without a token", id="both"),
        pytest.param(VANISHED, respond("200 OK", b"\r\nContent-Le"), WITHOUT, id="half-a-head"),
        pytest.param(VANISHED, respond("200 OK\r\n\r\n", b"ok"), WITHOUT, id="text-of-a-proxy"),
    ],
)
def test_status_200_is_open(token: Outcome, metadata: Outcome, reason: str) -> None:
    assert judge({TOKEN: token, WITHOUT_TOKEN: metadata}) == Access(is_open=True, reason=reason)


@pytest.mark.parametrize(
    ("token", "metadata", "reason"),
    [
        pytest.param(Outcome(NO_ROUTE), Outcome(NO_ROUTE), "no route", id="no-route"),
        pytest.param(Outcome(REFUSED), Outcome(REFUSED), "refused", id="refused"),
        pytest.param(Outcome(TIMED_OUT), Outcome(TIMED_OUT), "timed out", id="dropped"),
        pytest.param(VANISHED, respond("401 Unauthorized"), NOTHING, id="hop-limit-1"),
        pytest.param(respond("403 Forbidden"), respond("403 Forbidden"), NOTHING, id="off"),
        pytest.param(PAGE, PAGE, NOTHING, id="captive-portal"),
        pytest.param(
            respond("302 Found", b"\r\nLocation: http://login/\r\n\r\n"),
            respond("302 Found", b"\r\nLocation: http://169.254.169.254/\r\n\r\n"),
            NOTHING,
            id="redirect",
        ),
        pytest.param(Outcome(CONNECTED, b"\x00\xff" * 512), VANISHED, NOTHING, id="garbage"),
        pytest.param(Outcome(CONNECTED, b"HTTP/1.1 2"), VANISHED, NOTHING, id="cut-status"),
    ],
)
def test_anything_else_is_closed(token: Outcome, metadata: Outcome, reason: str) -> None:
    assert judge({TOKEN: token, WITHOUT_TOKEN: metadata}) == Access(is_open=False, reason=reason)


def test_one_open_address_makes_the_service_open() -> None:
    closed, given = Access(is_open=False, reason="refused"), Access(is_open=True, reason="gives session tokens")
    measurement = Measurement(1_700_000_000.5, {"169.254.169.254": closed, "fd00:ec2::254": given})

    assert measurement.build_document() == {
        "state": "open",
        "measured": "2023-11-14T22:13:20Z",
        "addresses": {
            "169.254.169.254": {"state": "closed", "reason": "refused"},
            "fd00:ec2::254": {"state": "open", "reason": "gives session tokens"},
        },
    }
    with pytest.raises(OpenMetadataError, match=r"fd00:ec2::254: gives session tokens\. Set HttpTokens=required"):
        measurement.check_closed()


def test_result_contains_nothing_of_a_response() -> None:
    secret = Outcome(CONNECTED, b"HTTP/1.1 200 OK\r\nX-A: hdr-marked\r\n\r\nmarked-token")

    access = judge({TOKEN: secret, WITHOUT_TOKEN: secret})

    assert "marked" not in repr(Measurement(0, {"169.254.169.254": access}).build_document())
