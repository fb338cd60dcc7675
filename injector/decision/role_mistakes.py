"""Names common mistakes in a role, each with the value that was probably meant."""

import re
import unicodedata
from collections.abc import Iterator

from contract.outside_aws import ROLE_PREFIX

ACCOUNT = re.compile(r"(?<!\d)\d{12}(?!\d)")
RESOURCE = re.compile(r"(?:^|:)(assumed-)?role/", re.IGNORECASE)
ARN = re.compile(r"arn:aws[a-z-]*:iam:[^:]*:[^:]*:role/.+", re.DOTALL)
ANY_ARN = re.compile(rf"{ROLE_PREFIX}.+", re.ASCII | re.DOTALL)
"""Of a store outside AWS: `parse_role` says where it can be used."""

INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
"""Categories of Unicode: control and format characters, separators and spaces."""

NAMES = {" ": "a space", "\n": "a line break (U+000A)", "\r": "a carriage return (U+000D)", "\t": "a tab (U+0009)"}
QUOTES = "\"'`"
PRINTABLE = "".join(map(chr, range(ord("!"), ord("~") + 1)))


def find_mistakes(text: str, partition: str) -> Iterator[str]:
    """Say what is wrong with a role, and in parentheses what was meant."""
    odd = len(text) - len(text.lstrip(PRINTABLE))
    if odd < len(text):
        yield f"it has {_describe(text[odd])} at character {odd + 1}{_suggest(_remove_invisible(text))}"
    elif text.strip(QUOTES) != text:
        yield f"the quotes are a part of the value{_suggest(text.strip(QUOTES))}"
    elif not (ARN.fullmatch(text) or ANY_ARN.fullmatch(text)) and (":" in text or text.lower().startswith("role/")):
        yield f"it is neither a name nor a whole ARN{_suggest(_complete(text, partition))}"


def _suggest(meant: str) -> str:
    return f' (did you mean "{meant}"?)' if meant else ""


def _describe(character: str) -> str:
    name = unicodedata.name(character, "")
    return NAMES.get(character) or f"the character U+{ord(character):04X} {name}".rstrip()


def _remove_invisible(text: str) -> str:
    """The text without characters that nobody sees; empty if it has spaces inside, or other letters than ASCII."""
    seen = "".join(one for one in text.strip() if one == " " or unicodedata.category(one) not in INVISIBLE)
    return seen if all("!" <= one <= "~" for one in seen) else ""


def _complete(text: str, partition: str) -> str:
    """Build what `ARN:aws:iam::111122223333:role/reader` or `role/reader` means."""
    resource = RESOURCE.search(text)
    if resource is None:
        return ""
    role, account = text[resource.end() :], ACCOUNT.search(text, 0, resource.start())
    if resource[1]:  # the name of the session follows
        role = role.partition("/")[0]
    return f"arn:{partition}:iam::{account[0]}:role/{role}" if account and role else role
