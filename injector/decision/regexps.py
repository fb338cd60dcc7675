r"""Compiles regular expressions that users write, in an engine (RE2) with linear time, with limits of size and memory.

RE2 limits the memory of a program, but not of what it parses a pattern into: each Unicode class, such as \pL, takes
31 KiB of it, and with (?i) 0.2 ms. Compiled patterns keep both.
"""

import re
from typing import Any

import re2

from contract.text import quote
from injector.errors import InjectorError

MAX_REGEXP_BYTES = 2048
MAX_UNICODE_CLASSES = 10
ENGINE_BYTES = 256 * 1024
"""Memory for a compiled pattern."""

MAX_INSTRUCTIONS = 10_000
"""About what fits into ENGINE_BYTES. It also bounds the time of a match, to about 20 ms."""

MAX_SHOWN_PROBLEM = 200
"""Characters of RE2's sentence, which repeats the pattern."""

UNICODE_CLASS = re.compile(r"\\[pP]")


class InvalidRegexpError(InjectorError):
    """A regular expression is not valid, or too large; the message says why."""


def check_regexp(regexp: str) -> int:
    r"""Compile a regexp alone and in a group, as `a)|(b` or an open `\Q` have another meaning in a group.

    Return the number of its instructions; raise InvalidRegexpError.
    """
    if (size := len(regexp.encode())) > MAX_REGEXP_BYTES:
        raise InvalidRegexpError(f"a regular expression has {size} bytes, the maximum is {MAX_REGEXP_BYTES}")
    if (classes := len(UNICODE_CLASS.findall(regexp))) > MAX_UNICODE_CLASSES:
        problem = f"a regular expression has {classes} Unicode classes, the maximum is {MAX_UNICODE_CLASSES}"
        raise InvalidRegexpError(f"{problem}: ARNs are ASCII")
    compile_regexp(regexp)
    return int(compile_regexp(f"(?:{regexp})").programsize)


def compile_regexp(regexp: str) -> Any:
    """Compile a pattern whose parts were checked; raise InvalidRegexpError if it is too large."""
    options = re2.Options()
    options.max_mem = ENGINE_BYTES
    options.log_errors = False
    options.never_capture = True  # groups are not used, and capturing them doubles the time
    try:
        compiled = re2.compile(regexp, options)
    except re2.error as error:
        reason = quote(error.args[0].decode(), MAX_SHOWN_PROBLEM)
        raise InvalidRegexpError(f"the regular expression engine (RE2) reports: {reason}") from None
    re2.purge()  # it has a cache of its own
    if (count := compiled.programsize) > MAX_INSTRUCTIONS:
        raise InvalidRegexpError(f"a regular expression has {count} instructions, the maximum is {MAX_INSTRUCTIONS}")
    return compiled
