"""Where two values of a manifest differ: only the parts that do, each with its path. Long values can be read so."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from contract.text import quote
from injector.k8s.objects import as_mapping
from injector.patch.api_defaults import equals_ignoring_defaults
from podrole.findings import format_number

MAX_VALUE = 1024
"""Characters of a value that are shown."""

MAX_PARTS = 10
"""Differences of one field that are shown."""

LONG = 80
"""Characters of a text from which on only the part that differs is shown."""

CONTEXT = 20
"""Characters before and after it."""

ABSENT = object()
NAMES = ("mountPath", "name")
"""What tells elements of a list apart: a volume can be mounted twice, at two paths."""


def describe_difference(path: str, found: Any, wanted: Any, defaults: Any) -> str:
    """Describe all differences as `PATH is FOUND and would be WANTED; ...`. None stands for an absent value."""
    found, wanted = (ABSENT if one is None else one for one in (found, wanted))
    parts = [*_find_parts(path, found, wanted, defaults)] or [(path, found, wanted)]
    shown = ["{} is {} and would be {}".format(*_show_pair(*one)) for one in parts[:MAX_PARTS]]
    if len(parts) > MAX_PARTS:
        shown.append(f"and {format_number(len(parts) - MAX_PARTS, 'more difference')}")
    return "; ".join(shown)


def _find_parts(path: str, found: Any, wanted: Any, defaults: Any) -> Iterator[tuple[str, Any, Any]]:
    """The innermost values that differ, with their paths."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        yield from _compare_fields(path, found, wanted, defaults)
    elif isinstance(found, list) and isinstance(wanted, list):
        yield from _compare_lists(path, found, wanted, defaults)
    elif found is ABSENT or wanted is ABSENT or found != wanted or type(found) is not type(wanted):
        yield path, found, wanted


def _compare_fields(
    path: str, found: Mapping[str, Any], wanted: Mapping[str, Any], defaults: Any
) -> Iterator[tuple[str, Any, Any]]:
    known = as_mapping(defaults)
    for key in sorted(found.keys() | wanted.keys()):
        get, have = ({key: one[key]} if key in one else {} for one in (wanted, found))
        if not equals_ignoring_defaults(get, have, {key: known[key]} if key in known else {}):
            yield from _find_parts(f"{path}.{key}", found.get(key, ABSENT), wanted.get(key, ABSENT), known.get(key))


def _compare_lists(path: str, found: list[Any], wanted: list[Any], defaults: Any) -> Iterator[tuple[str, Any, Any]]:
    key = _find_key([*found, *wanted])
    if key is not None:
        have, get = ({str(one[key]): one for one in elements} for elements in (found, wanted))
        for name in (*have, *(one for one in get if one not in have)):
            yield from _find_parts(f"{path}[{name}]", have.get(name, ABSENT), get.get(name, ABSENT), defaults)
    elif len(found) == len(wanted):
        for index, (one, other) in enumerate(zip(found, wanted, strict=True)):
            if not equals_ignoring_defaults(other, one, defaults):
                yield from _find_parts(f"{path}[{index}]", one, other, defaults)
    else:
        yield _trim(path, found, wanted)


def _find_key(elements: Sequence[Any]) -> str | None:
    """The field that names all elements."""
    for key in NAMES:
        if elements and all(isinstance(one, dict) and isinstance(one.get(key), str) for one in elements):
            return key
    return None


def _trim(path: str, found: list[Any], wanted: list[Any]) -> tuple[str, Any, Any]:
    """The part of two lists between what they have in common at both ends."""
    start = _count_equal(found, wanted)
    end = _count_equal(found[start:][::-1], wanted[start:][::-1])
    middle = [one[start : len(one) - end] for one in (found, wanted)]
    where = f"{path}[{start}:]" if start else path
    return where, middle[0] or ABSENT, middle[1] or ABSENT


def _count_equal(found: Sequence[Any], wanted: Sequence[Any]) -> int:
    pairs = zip(found, wanted, strict=False)
    return next((index for index, (one, other) in enumerate(pairs) if one != other), min(len(found), len(wanted)))


def _show_pair(path: str, found: Any, wanted: Any) -> tuple[str, str, str]:
    """Path and both values; of two long texts only what differs, with some characters around it."""
    shown = [_format(one) for one in (found, wanted)]
    if isinstance(found, str) and isinstance(wanted, str) and min(map(len, shown)) > LONG:
        first, second = shown
        start = max(_count_equal(first, second) - CONTEXT, 0)
        end = max(_count_equal(first[start + CONTEXT :][::-1], second[start + CONTEXT :][::-1]) - CONTEXT, 0)
        shown = [_cut(one, start, len(one) - end) for one in shown]
    return path, quote(shown[0], MAX_VALUE), quote(shown[1], MAX_VALUE)


def _cut(text: str, start: int, end: int) -> str:
    return f"{'...' if start else ''}{text[start:end]}{'...' if end < len(text) else ''}"


def _format(value: Any) -> str:
    return "absent" if value is ABSENT else value if isinstance(value, str) else json.dumps(value)
