r"""How messages, logs and terminals repeat text that somebody else wrote. Nothing else decides what is shown of it.

What a terminal does not print becomes an escape as in Python's literals: \x1b, \u202e, \U000e0041. Backslashes stay, so
that regular expressions can be read and an escaped text does not change when it is escaped again.
"""


def quote(text: str, max_length: int) -> str:
    r"""Return at most `max_length` characters of a text in printable ASCII on one line; `...` follows where it is cut.

    Other letters are escaped too: some look like ASCII, and a role's name must not look like another one.
    """
    if len(text) <= max_length and text.isascii() and text.isprintable():  # nearly every text
        return text
    shown = text[:max_length]
    if not (shown.isascii() and shown.isprintable()):
        shown = _escape_all(shown).encode("ascii", "backslashreplace").decode()
    is_cut = len(text) > max_length or len(shown) > max_length
    return f"{shown[:max_length]}..." if is_cut else shown


def hide_password(url: str) -> str:
    """Replace the user, the password and the query of a URL, which can be secrets."""
    before, at, rest = url.rpartition("@")
    scheme, separator, _ = before.partition("://")
    hidden = f"{scheme if separator else ''}{separator}***@" if at else ""
    shown, mark, _ = rest.replace("#", "?").partition("?")
    return f"{hidden}{shown}{'?***' if mark else ''}"


def escape(text: str) -> str:
    """Return a text without control, format and other invisible characters. Line breaks (LF) and letters stay."""
    if text.isprintable():
        return text
    return "\n".join(line if line.isprintable() else _escape_all(line) for line in text.split("\n"))


def _escape_all(text: str) -> str:
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
