"""Checks roles against the allow-lists of a namespace, in the formats of kube2iam and Kiam.

Users write the patterns. They run in an engine (RE2) with linear time and bounded memory: with a backtracking engine
a user could block the webhook. An annotation that is not valid allows no role.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import re2

from contract.text import quote
from injector.config import Config
from injector.errors import InjectorError
from injector.metadata_keys import ALLOWED_ROLES, PERMITTED
from injector.reasons import Explanation, Reason
from injector.value_types import AllowedRolesFormat

LONGEST_VALUE = 16 * 1024
"""Characters of one annotation: about 200 ARNs. All annotations of a namespace can have 256 KiB."""

MOST_ENTRIES = 1000
ENGINE_BYTES = 512 * 1024
"""Memory for the compiled patterns of one annotation. It also bounds the time of a match, to about 50 ms."""

MOST_INSTRUCTIONS = 20_000
"""About what fits into ENGINE_BYTES. For a list it bounds the sum, and so the time to compile all entries."""

CACHED_ANNOTATIONS = 128

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
    if len(text) > LONGEST_VALUE:  # before the cache, which would keep it
        matchers: tuple[Matcher, ...] | str = f"it has {len(text)} characters, the maximum is {LONGEST_VALUE}"
    else:
        matchers = _build_matchers(text, format_, base)
    if isinstance(matchers, str):
        problem, expected = matchers, format_.expected
        yield Reason.INVALID_ALLOW_LIST.explain(key=key, value=_quote(text), problem=problem, expected=expected)
    elif not any(matcher.matches(role_arn) for matcher in matchers):
        rule = format_.rule.format(base=base or "the base ARN, which is not configured")
        yield Reason.ROLE_NOT_ALLOWED.explain(role=role_arn, key=key, patterns=_quote(text), rule=rule)


@lru_cache(maxsize=CACHED_ANNOTATIONS)
def _build_matchers(text: str, format_: AllowListFormat, base: str | None) -> tuple[Matcher, ...] | str:
    """Compile an annotation, or return its problem: exceptions would not be cached."""
    regexps: dict[str, list[str]] = {}
    try:
        for pattern in format_.parse(text, base):
            regexps.setdefault(pattern.prefix, []).append(f"(?:{pattern.regexp})")
        return tuple(Matcher(prefix, _compile("|".join(several))) for prefix, several in regexps.items())
    except UnicodeEncodeError:
        return "it has half of a surrogate pair, which is not a character"
    except _InvalidListError as error:
        return str(error)


def _compile(regexp: str) -> Any:
    options = re2.Options()
    options.max_mem = ENGINE_BYTES
    options.log_errors = False
    options.never_capture = True  # groups are not used, and capturing them doubles the time
    try:
        return re2.compile(regexp, options)
    except re2.error as error:
        reason = _quote(error.args[0].decode())
        raise _InvalidListError(f"the regular expression engine (RE2) reports: {reason}") from None


def _check_regexp(regexp: str) -> int:
    r"""Compile a regexp alone and in a group, as `a)|(b` or an open `\Q` have another meaning in a group.

    Return the number of its instructions.
    """
    _compile(regexp)
    return int(_compile(f"(?:{regexp})").programsize)


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
            instructions += _check_regexp(regexp)
        except _InvalidListError as error:
            raise _InvalidListError(f"in entry {number} {error}") from None
        if instructions > MOST_INSTRUCTIONS:
            raise _InvalidListError(f"its first {number} entries together are too large to be compiled")
        is_arn = regexp.removeprefix("^").startswith("arn:")
        yield Pattern("" if is_arn else _require_base(base, regexp), regexp)


def _parse_regexp(text: str, _base: str | None) -> Iterator[Pattern]:
    _check_regexp(text)
    yield Pattern("", text)


def _parse_list(text: str) -> list[str]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _InvalidListError(f"it is not valid JSON ({error})") from None
    if not isinstance(entries, list):
        raise _InvalidListError("it is JSON, but not a list")
    if len(entries) > MOST_ENTRIES:
        raise _InvalidListError(f"it has {len(entries)} entries, the maximum is {MOST_ENTRIES}")
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
    return quote(" ".join(text.split()), LONGEST_VALUE)


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
