import sys

import pytest

from contract.text import escape, hide_password, quote
from testing.hostile_text import HOSTILE, find_unprintable

EVERY_CHARACTER = "".join(map(chr, range(sys.maxunicode + 1)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("\x1b[31mred", r"\x1b[31mred", id="terminal-escape-sequence"),
        pytest.param("\x9b31m", r"\x9b31m", id="c1-control"),
        pytest.param("a\x7f\b\x00", r"a\x7f\x08\x00", id="delete-backspace-null"),
        pytest.param("a\r\nb\tc", r"a\r\nb\tc", id="line-break-and-tab"),
        pytest.param("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d", id="unicode-line-breaks"),
        pytest.param("\u202eabc\u2066", r"\u202eabc\u2066", id="bidi-controls"),
        pytest.param("a\u200bb\ufeff\u00ad", r"a\u200bb\ufeff\xad", id="invisible-format-characters"),
        pytest.param("\U000e0041", r"\U000e0041", id="tag-character"),
        pytest.param("\ud800", r"\ud800", id="lone-surrogate"),
        pytest.param("\ufdd0\uffff", r"\ufdd0\uffff", id="non-characters"),
        pytest.param("\u0430dmin", r"\u0430dmin", id="letter-that-looks-like-ascii"),
        pytest.param("a\u0301", r"a\u0301", id="combining-mark"),
        pytest.param("\u00a0", r"\xa0", id="no-break-space"),
        pytest.param(r".*:role/\w+", r".*:role/\w+", id="backslash-stays"),
        pytest.param("", "", id="empty"),
    ],
)
def test_quoted_text_is_printable_ascii(text: str, shown: str) -> None:
    assert quote(text, 100) == shown


def test_no_character_is_quoted_as_anything_but_printable_ascii() -> None:
    quoted = quote(EVERY_CHARACTER, 20_000_000)

    assert quoted.isascii()
    assert quoted.isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("x" * 10, "x" * 10, id="of-the-limit"),
        pytest.param("x" * 11, "x" * 10 + "...", id="over-the-limit"),
        pytest.param("\x1b" * 3, r"\x1b\x1b\x" + "...", id="over-the-limit-only-when-escaped"),
        pytest.param("x" * 10 + "\x1b", "x" * 10 + "...", id="control-character-behind-the-limit"),
    ],
)
def test_quoted_text_is_cut(text: str, shown: str) -> None:
    assert quote(text, 10) == shown


def test_quoting_twice_changes_nothing() -> None:
    assert quote(quote(HOSTILE, 1000), 1000) == quote(HOSTILE, 1000)


def test_escaped_text_keeps_lines_and_letters() -> None:
    assert escape("Gr\u00f6\u00dfe\nb\r\n\x1b[2J\u202e") == "Gr\u00f6\u00dfe\nb\\r\n\\x1b[2J\\u202e"


def test_no_character_but_a_line_feed_is_left_unprintable() -> None:
    assert not find_unprintable(escape(EVERY_CHARACTER))
    assert escape(EVERY_CHARACTER).count("\n") == 1


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        pytest.param("http://me:secret@host:80/path", "http://***@host:80/path", id="user-and-password"),
        pytest.param("http://secret@host", "http://***@host", id="user"),
        pytest.param("http://me:se/cr@et@host", "http://***@host", id="slash-and-at-in-the-password"),
        pytest.param("me:secret@host", "***@host", id="no-scheme"),
        pytest.param("https://host/path?key=secret", "https://host/path?***", id="query"),
        pytest.param("https://host/#secret", "https://host/?***", id="fragment"),
        pytest.param("https://me:sec?ret@host", "https://***@host", id="question-mark-in-the-password"),
        pytest.param("https://host:8443/path", "https://host:8443/path", id="nothing-secret"),
        pytest.param("", "", id="empty"),
    ],
)
def test_password_and_query_of_a_url_are_hidden(url: str, shown: str) -> None:
    assert hide_password(url) == shown
