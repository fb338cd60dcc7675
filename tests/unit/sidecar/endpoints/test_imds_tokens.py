"""Tokens of the metadata service's second version."""

import hmac

import pytest

from sidecar.credentials.state_file import KEY_BYTES
from sidecar.endpoints import imds_tokens

KEY = b"k" * KEY_BYTES
NOW = 1_700_000_000.5


@pytest.mark.parametrize("header", [None, "", "0", "-1", "21601", "1.5", "60s", "٦٠", "9" * 5000, " 60", "+60"])
def test_a_lifetime_that_ec2_would_refuse_is_refused(header: str | None) -> None:
    assert imds_tokens.parse_ttl(header) is None


@pytest.mark.parametrize(("header", "seconds"), [("1", 1), ("300", 300), ("21600", 21600), ("00060", 60)])
def test_a_lifetime_from_one_second_to_six_hours_is_taken(header: str, seconds: int) -> None:
    assert imds_tokens.parse_ttl(header) == seconds


@pytest.mark.parametrize("forged", ["", "x", "=", "äöü", "A" * 56, "\x00" * 56, "AAAA" * 10_000])
def test_what_we_did_not_make_is_no_token(forged: str) -> None:
    assert not imds_tokens.is_valid(KEY, forged, NOW)


def test_a_token_is_valid_until_its_time_is_over() -> None:
    token = imds_tokens.build_token(KEY, 60, NOW)

    assert imds_tokens.is_valid(KEY, token, NOW)
    assert imds_tokens.is_valid(KEY, token, NOW + 59)
    assert not imds_tokens.is_valid(KEY, token, NOW + 60)


def test_a_clock_set_forward_ends_a_token_early() -> None:
    token = imds_tokens.build_token(KEY, 21600, NOW)

    assert not imds_tokens.is_valid(KEY, token, NOW + 21600)


def test_a_clock_set_back_by_hours_keeps_tokens_valid() -> None:
    token = imds_tokens.build_token(KEY, 21600, NOW)

    assert imds_tokens.is_valid(KEY, token, NOW - 5 * 3600)


def test_a_token_made_while_the_clock_stood_years_ahead_is_worth_nothing_afterwards() -> None:
    token = imds_tokens.build_token(KEY, 60, NOW + 12 * 365 * 86400)

    assert not imds_tokens.is_valid(KEY, token, NOW)


def test_a_token_with_a_later_expiry_is_not_valid() -> None:
    token = imds_tokens.build_token(KEY, 60, NOW)
    longer = imds_tokens.build_token(KEY, 3600, NOW)

    assert not imds_tokens.is_valid(KEY, longer[:11] + token[11:], NOW)


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: compared.append((len(one), len(other))))

    imds_tokens.is_valid(KEY, imds_tokens.build_token(KEY, 60, NOW), NOW)

    assert compared == [(32, 32)]


def test_another_key_makes_other_tokens() -> None:
    assert not imds_tokens.is_valid(b"o" * KEY_BYTES, imds_tokens.build_token(KEY, 60, NOW), NOW)


def test_a_token_is_one_line_that_fits_in_a_header() -> None:
    token = imds_tokens.build_token(KEY, 21600, NOW)

    assert token.isascii()
    assert token.isprintable()
    assert len(token) == 56
