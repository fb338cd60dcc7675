"""IMDSv2 session tokens."""

import hmac

import pytest

from sidecar.credentials.state_file import KEY_BYTES
from sidecar.endpoints import imds_tokens

KEY = b"k" * KEY_BYTES
NOW = 1_000.5


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="missing"),
        pytest.param("", id="empty"),
        "0",
        "-1",
        "21601",
        "1.5",
        "60s",
        pytest.param("٦٠", id="arabic-digits"),
        pytest.param("9" * 5000, id="very-long"),
        pytest.param(" 60", id="leading-space"),
        "+60",
    ],
)
def test_invalid_ttl_is_rejected(header: str | None) -> None:
    assert imds_tokens.parse_ttl(header) is None


@pytest.mark.parametrize(("header", "seconds"), [("1", 1), ("300", 300), ("21600", 21600), ("00060", 60)])
def test_ttl_from_1_s_to_6_h_is_accepted(header: str, seconds: int) -> None:
    assert imds_tokens.parse_ttl(header) == seconds


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param("", id="empty"),
        pytest.param("x", id="too-short"),
        pytest.param("=", id="padding-only"),
        pytest.param("äöü", id="not-ascii"),
        pytest.param("A" * 56, id="wrong-signature"),
        pytest.param("\x00" * 56, id="not-base64"),
        pytest.param("AAAA" * 10_000, id="too-long"),
    ],
)
def test_forged_token_is_invalid(forged: str) -> None:
    assert not imds_tokens.is_valid(KEY, forged, NOW)


def test_token_is_valid_until_it_expires() -> None:
    token = imds_tokens.build_token(KEY, 60, NOW)

    assert imds_tokens.is_valid(KEY, token, NOW)
    assert imds_tokens.is_valid(KEY, token, NOW + 59)
    assert not imds_tokens.is_valid(KEY, token, NOW + 60)


def test_token_of_a_clock_that_was_ahead_is_invalid() -> None:
    token = imds_tokens.build_token(KEY, 60, NOW + 21600)

    assert not imds_tokens.is_valid(KEY, token, NOW)


def test_token_with_changed_expiry_is_invalid() -> None:
    token = imds_tokens.build_token(KEY, 60, NOW)
    longer = imds_tokens.build_token(KEY, 3600, NOW)

    assert not imds_tokens.is_valid(KEY, longer[:11] + token[11:], NOW)


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: compared.append((len(one), len(other))))

    imds_tokens.is_valid(KEY, imds_tokens.build_token(KEY, 60, NOW), NOW)

    assert compared == [(32, 32)]


def test_token_of_another_key_is_invalid() -> None:
    assert not imds_tokens.is_valid(b"o" * KEY_BYTES, imds_tokens.build_token(KEY, 60, NOW), NOW)


def test_token_is_a_valid_header_value() -> None:
    token = imds_tokens.build_token(KEY, 21600, NOW)

    assert token.isascii()
    assert token.isprintable()
    assert len(token) == 56
