"""Checks roles against the allow-lists of a namespace, in the formats of kube2iam and Kiam.

Users write the patterns, so their size is limited, and so is the engine that they run in. An annotation that is not
valid allows no role. `value_limits` has limited the size of each annotation.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import re2

from contract.text import quote
from injector.config import Config
from injector.decision.regexps import MAX_INSTRUCTIONS, InvalidRegexpError, check_regexp, compile_regexp
from injector.errors import InjectorError
from injector.metadata_keys import ALLOWED_ROLES, PERMITTED
from injector.reasons import Explanation, Reason
from injector.value_types import AllowedRolesFormat

MAX_ENTRIES = 500
MAX_SHOWN_LIST = 300
"""Characters of an annotation that a denial can repeat: a message cuts each value further."""

CACHED_ANNOTATIONS = 32
"""Each can take about 0.6 MiB: two programs and the parsed patterns."""

WILDCARDS = {"**": ".*", "*": "[^/]*", "?": "[^/]"}


class _InvalidListError(InjectorError):
    """An annotation is not a valid allow-list; the message says why."""


class Pattern(NamedTuple):
    """A regular expression for the part of an ARN after `prefix`, which is empty or the base ARN."""

    prefix: str
    regexp: str


class Matcher(NamedTuple):
    """All patterns of one annotation that have the same prefix, compiled into one."""

    prefix: str
    regexp: Any

    def matches(self, role_arn: str) -> bool:
        """Whether one of the patterns matches in full. An alternation cannot match only a part."""
        return role_arn.startswith(self.prefix) and bool(self.regexp.fullmatch(role_arn.removeprefix(self.prefix)))


class AllowListFormat(NamedTuple):
    """The syntax of an annotation."""

    parse: Callable[[str, str | None], Iterable[Pattern]]
    expected: str
    rule: str


def check_role_allowed(
    role_arn: str, namespace_annotations: Mapping[str, str], config: Config
) -> Iterator[Explanation]:
    """Yield an explanation for each annotation that does not allow the role or is not valid. All must allow it.

    | annotation                            | value                | matched in full, and case counts, against   |
    |---------------------------------------|----------------------|---------------------------------------------|
    | allowed-roles (kube2iam), glob format | JSON list of globs   | the ARN, or the name after the base ARN     |
    | allowed-roles, regexp format          | JSON list of regexps | as above                                    |
    | permitted (Kiam)                      | one regexp           | the ARN                                     |

    An entry of a list is for the whole ARN if it starts with `arn:` (a regexp also with `^arn:`). Regexps are Go's.
    A `*` in a glob does not cross `/`, `**` does. In kube2iam `*` crosses it, so that `team-a-*` also allows all
    roles under the path `team-a-x/`; the denial states the difference.
    """
    formats = {ALLOWED_ROLES: FORMATS[config.allowed_roles_format], PERMITTED: FORMATS["permitted"]}
    for key, format_ in formats.items():
        if key in namespace_annotations:
            yield from _check_annotation(role_arn, key, namespace_annotations[key], format_, config.role_arn_prefix)


def _check_annotation(
    role_arn: str, key: str, text: str, format_: AllowListFormat, base: str | None
) -> Iterator[Explanation]:
    matchers = build_matchers(text, format_, base)
    if isinstance(matchers, str):
        problem, expected = matchers, format_.expected
        yield Reason.INVALID_ALLOW_LIST.explain(key=key, value=_quote(text), problem=problem, expected=expected)
    elif not any(matcher.matches(role_arn) for matcher in matchers):
        rule = format_.rule.format(base=base or "the base ARN, which is not configured")
        yield Reason.ROLE_NOT_ALLOWED.explain(role=role_arn, key=key, patterns=_quote(text), rule=rule)


@lru_cache(maxsize=CACHED_ANNOTATIONS)
def build_matchers(text: str, format_: AllowListFormat, base: str | None) -> tuple[Matcher, ...] | str:
    """Compile an annotation, or return its problem: exceptions would not be cached."""
    regexps: dict[str, list[str]] = {}
    try:
        for pattern in format_.parse(text, base):
            regexps.setdefault(pattern.prefix, []).append(f"(?:{pattern.regexp})")
        return tuple(Matcher(prefix, compile_regexp("|".join(several))) for prefix, several in regexps.items())
    except UnicodeEncodeError:
        return "it has half of a surrogate pair, which is not a character"
    except (_InvalidListError, InvalidRegexpError) as error:
        return str(error)


def _parse_globs(text: str, base: str | None) -> Iterator[Pattern]:
    for glob in _parse_list(text):
        if glob.startswith("arn:"):
            yield Pattern("", _translate_glob(glob))
        else:
            yield Pattern(_require_base(base, glob), _translate_glob(glob.removeprefix("/")))


def _translate_glob(glob: str) -> str:
    parts = re.split(r"(\*\*|\*|\?)", glob)
    return "".join(WILDCARDS[part] if part in WILDCARDS else re2.escape(part) for part in parts)


def _parse_regexps(text: str, base: str | None) -> Iterator[Pattern]:
    instructions = 0
    for number, regexp in enumerate(_parse_list(text), start=1):
        try:
            instructions += check_regexp(regexp)
        except InvalidRegexpError as error:
            raise _InvalidListError(f"in entry {number} {error}") from None
        if instructions > MAX_INSTRUCTIONS:
            raise _InvalidListError(f"its first {number} entries together are too large to be compiled")
        is_arn = regexp.removeprefix("^").startswith("arn:")
        yield Pattern("" if is_arn else _require_base(base, regexp), regexp)


def _parse_regexp(text: str, _base: str | None) -> Iterator[Pattern]:
    check_regexp(text)
    yield Pattern("", text)


def _parse_list(text: str) -> list[str]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _InvalidListError(f"it is not valid JSON ({error})") from None
    if not isinstance(entries, list):
        raise _InvalidListError("it is JSON, but not a list")
    if len(entries) > MAX_ENTRIES:
        raise _InvalidListError(f"it has {len(entries)} entries, the maximum is {MAX_ENTRIES}")
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, str):
            raise _InvalidListError(f"entry {number} is not a string")
    return entries


def _require_base(base: str | None, entry: str) -> str:
    if base is None:
        remedy = "use complete ARNs, or ask the operator to set PODROLE_ACCOUNT_ID or PODROLE_BASE_ROLE_ARN"
        raise _InvalidListError(f'no base ARN is configured for names ({remedy}): "{_quote(entry)}"')
    return base


def _quote(text: str) -> str:
    """Return one line: a list can have one entry a line."""
    return quote(" ".join(text.split()), MAX_SHOWN_LIST)


FORMATS: dict[str, AllowListFormat] = {
    AllowedRolesFormat.GLOB: AllowListFormat(
        _parse_globs,
        expected='a JSON list of names, paths and ARNs with wildcards, such as ["reader", "team-a/*"]',
        rule="matched in full; * and ? do not cross /, ** does; entries without arn: are appended to {base}",
    ),
    AllowedRolesFormat.REGEXP: AllowListFormat(
        _parse_regexps,
        expected='a JSON list of regular expressions (RE2), such as ["reader", "team-a/.*"]',
        rule="regular expressions, matched in full; entries without arn: are appended to {base}",
    ),
    "permitted": AllowListFormat(
        _parse_regexp,
        expected="one regular expression (RE2) for whole ARNs, such as .*:role/team-a/.*",
        rule="one regular expression, matched in full against the ARN",
    ),
}
