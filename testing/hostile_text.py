"""What a user can write to deceive whoever reads it: on a terminal, or in a log."""

STORED = (
    "arn:aws:iam::111122223333:role/\x1b]0;title\x07\x1b[2J\x9b31m\x7f\b\r\n"
    '{"level":"INFO","message":"forged"}\x85\u2028\u2029\u202e\u2066\u200b\u200d\ufeff\u00ad\U000e0041\ufdd0\uffff'
    "\u0430dmin a\u0301"
)
"""As the API server stores it: UTF-8. ESC sequences, C0 and C1, line breaks, bidi, invisible letters, a Cyrillic a."""

HOSTILE = f"{STORED}\x00\ud800"
"""As JSON and the environment can have it, too."""


def find_unprintable(text: str) -> str:
    """Return the characters that a terminal would not print as they are. Line breaks (LF) count as printable."""
    return "".join(one for one in text if one != "\n" and not one.isprintable())
