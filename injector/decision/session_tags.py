"""Checks session tags against the limits of STS."""

import unicodedata
from collections import Counter
from collections.abc import Iterator

from contract.text import quote

MOST_TAGS = 50
LONGEST_KEY = 128
LONGEST_VALUE = 256
SHOWN_LENGTH = 60
"""Characters of a tag that a problem repeats: less than a message repeats of a value, so that the rest stays."""

RESERVED = "aws:"
CATEGORIES = "LZN"
"""Letters, separators and numbers, of any script."""

SIGNS = frozenset("_.:/=+-@")
"""https://docs.aws.amazon.com/STS/latest/APIReference/API_Tag.html"""


def find_tag_problems(text: str) -> Iterator[str]:
    """Yield each problem of `key=value,key=value`."""
    tags = [(key, sign, value) for key, sign, value in (tag.partition("=") for tag in text.split(","))]
    if len(tags) > MOST_TAGS:
        yield f"it has {len(tags)} tags, the maximum is {MOST_TAGS}"
        return
    for key, sign, value in tags:
        if problem := _find_problem(key, sign, value):
            yield f'"{quote(f"{key}{sign}{value}", SHOWN_LENGTH)}" {problem}'
    # STS ignores the case of keys.
    for key, count in Counter(key.lower() for key, _, _ in tags).items():
        if count > 1:
            yield f'"{quote(key, SHOWN_LENGTH)}" appears {count} times'


def _find_problem(key: str, sign: str, value: str) -> str:
    if not key or not sign:
        return "is not key=value"
    if key != key.strip() or value != value.strip():
        return "has a space next to a comma or an equals sign"
    if key.lower().startswith(RESERVED):
        return f'has a key that begins with "{RESERVED}", which AWS reserves'
    if len(key) > LONGEST_KEY or len(value) > LONGEST_VALUE:
        return f"is too long: a key has {LONGEST_KEY} characters at most, a value {LONGEST_VALUE}"
    odd = [character for character in key + value if not _is_allowed(character)]
    return f"has {odd[0]!a}, but STS accepts only letters, numbers, spaces and _ . : / = + - @" if odd else ""


def _is_allowed(character: str) -> bool:
    return character in SIGNS or unicodedata.category(character)[0] in CATEGORIES
