"""Names common mistakes in a role, each with the value that was probably meant."""

import re
import unicodedata
from collections.abc import Iterator

from contract.outside_aws import ROLE_PREFIX

ACCOUNT = re.compile(r"(?<!\d)\d{12}(?!\d)")
RESOURCE = re.compile(r"(?:^|:)(assumed-)?roles?[/:]", re.IGNORECASE)
WITHOUT_ARN = re.compile(r"(?:assumed-)?role/.*", re.IGNORECASE | re.DOTALL)
"""What follows the account in an ARN. A role can have such a path, but then its ARN must name it."""

OTHER_ARN = re.compile(r"arn:[^:]*:(?P<service>[a-z0-9-]+):[^:]*:[^:]*:(?P<kind>[A-Za-z-]+)(?:[/:].*)?", re.DOTALL)
ROLE_SERVICES = ("iam", "sts")
KIND_HINTS = {
    "instance-profile": ": name the role that it contains",
    "policy": ": name a role that has this policy",
    "user": ": pods can have only roles",
}
ARN_START = re.compile(r"arn:[^:]*:iam:")
FIELDS = re.compile(r"(?P<start>arn:[^:]*:iam):(?P<region>[^:]*):(?P<account>[^:]*):(?P<end>role/.+)", re.DOTALL)
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
    elif ":" in text and len(starts := [*ARN_START.finditer(text)]) > 1:
        meant = "" if "," in text else text[starts[-1].start() :]
        yield f"it has more than one ARN{_suggest(meant)}"
    elif not (ARN.fullmatch(text) or ANY_ARN.fullmatch(text)) and (":" in text or WITHOUT_ARN.fullmatch(text)):
        yield f"it is {_name_kind(text)}{_suggest(_complete(text, partition))}"
    elif text.strip("/") and text.endswith("/"):
        yield f"it ends with a slash{_suggest(text.rstrip('/'))}"


def describe_arn_mistake(text: str) -> str:
    """Say why this is no ARN of a role in AWS."""
    found = FIELDS.fullmatch(text)
    start, region, account, end = found.groups() if found else ("", "", "", "")
    digits = account.replace("-", "")
    meant = _suggest(f"{start}::{digits}:{end}" if ACCOUNT.fullmatch(digits) else "")
    if region:
        return f'it has the region "{region}", and ARNs of roles have none{meant}'
    problem = "an ARN of a role looks like arn:aws:iam::111122223333:role/path/name"
    if account and not ACCOUNT.fullmatch(account):
        problem = f'its account is "{account}" instead of 12 digits{meant}'
    is_outside_aws = ANY_ARN.fullmatch(text) and not digits.isdigit()
    return f"{problem}; other forms need a PODROLE_STS_ENDPOINT outside AWS" if is_outside_aws else problem


def _name_kind(text: str) -> str:
    """Say what it is instead of a role."""
    other = OTHER_ARN.fullmatch(text)
    if other is None or other["kind"].lower() in ("role", "roles"):
        return "neither a name nor a whole ARN"
    if other["service"] not in ROLE_SERVICES:
        return f'an ARN of the service "{other["service"]}" instead of "iam"'
    kind = other["kind"]
    return f'an ARN of the kind "{kind}" instead of "role"{KIND_HINTS.get(kind.lower(), "")}'


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
    role, account = text[resource.end() :].rstrip("/"), ACCOUNT.search(text, 0, resource.start())
    if resource[1]:  # the name of the session follows
        role = role.partition("/")[0]
    return f"arn:{partition}:iam::{account[0]}:role/{role}" if account and role else role
