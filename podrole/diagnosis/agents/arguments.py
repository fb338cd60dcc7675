"""The flags that a container's command line has, as its program reads them."""

import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from injector.k8s.objects import Object, read_list

MAX_WORDS = 500
MAX_VALUE_LENGTH = 4096
"""Characters. A longer value is no setting of these programs."""

REFERENCE = re.compile(r"\$\$|\$\(([-._a-zA-Z0-9]+)\)")
"""https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/"""

TRUE = {"1", "t", "T", "true", "TRUE", "True"}
"""https://pkg.go.dev/strconv#ParseBool"""


class KnownFlags(NamedTuple):
    """The flags of a program that are read."""

    with_value: Collection[str]
    switches: Collection[str]


class CommandLine(NamedTuple):
    """The flags of one container."""

    flags: Mapping[str, str]
    """By name, without dashes; a switch is `true` or `false`."""

    unknown_values: tuple[str, ...] = ()
    """The flags whose value depends on what cannot be read."""


def read_command_line(container: Object, environ: Mapping[str, str], known: KnownFlags) -> CommandLine:
    """Read a container's flags; `environ` are its variables, as far as they are known.

    A flag that is given twice has the last value.
    """
    words = [*_split([str(word) for key in ("command", "args") for word in read_list(container, key)[:MAX_WORDS]])]
    flags: dict[str, str] = {}
    unknown: dict[str, None] = {}
    for name, raw in _pair(words[:MAX_WORDS], known):
        value = expand(raw, environ)
        unknown.pop(name, None)
        flags.pop(name, None)
        if value is None or len(value) > MAX_VALUE_LENGTH:
            unknown[name] = None
        else:
            flags[name] = _read_switch(value) if name in known.switches else value
    return CommandLine(flags, tuple(unknown))


def expand(text: str, environ: Mapping[str, str]) -> str | None:
    """Replace $(NAME) as the kubelet does; None where a variable is not known."""
    names = [match[1] for match in REFERENCE.finditer(text) if match[1]]
    if any(name not in environ for name in names):
        return None
    return REFERENCE.sub(lambda match: environ[match[1]] if match[1] else "$", text)


def _split(words: Sequence[str]) -> Iterator[str]:
    """Split what a shell would: the word after its option -c."""
    for before, word in zip(["", *words], words, strict=False):
        if before != "-c":
            yield word
            continue
        try:
            yield from shlex.split(word, comments=True)
        except ValueError:  # a quote that is not closed
            yield from word.split()


def _pair(words: Sequence[str], known: KnownFlags) -> Iterator[tuple[str, str]]:
    """Yield flags with their values, from `--flag=value`, `--flag value`, `--switch` and `--no-switch`."""
    following = iter(words)
    for word in following:
        if word == "--":
            return
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--"):
            continue
        if equals and (name in known.with_value or name in known.switches):
            yield name, value
        elif name in known.switches:
            yield name, "true"
        elif name.removeprefix("no-") in known.switches:
            yield name.removeprefix("no-"), "false"
        elif name in known.with_value:
            yield name, next(following, "")


def _read_switch(value: str) -> str:
    return "true" if value in TRUE else "false"
