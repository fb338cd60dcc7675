"""The conditions of a statement, and whether they match a value.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import re2

from podrole.iam.documents import Policy, PolicyError, read_values

FOR_ALL = "forallvalues:"
FOR_ANY = "foranyvalue:"
IF_EXISTS = "ifexists"
EQUALS, EQUALS_ANY_CASE, LIKE = "stringequals", "stringequalsignorecase", "stringlike"


@dataclass(frozen=True, slots=True)
class Condition:
    """One key under one operator."""

    operator: str
    """As written in the policy."""

    key: str
    values: tuple[str, ...]

    @property
    def base(self) -> str:
        """The operator in lower case, without set prefix and IfExists. Operators and keys are case-insensitive."""
        return self.operator.lower().removeprefix(FOR_ANY).removeprefix(FOR_ALL).removesuffix(IF_EXISTS)

    @property
    def is_weak(self) -> bool:
        """Whether it can be true for a request that matches none of its values."""
        operator = self.operator.lower()
        return operator.startswith(FOR_ALL) or operator.endswith(IF_EXISTS) or "not" in self.base or self.base == "null"

    def matches(self, value: str) -> bool:
        """Return whether a request with this value matches. Operators for other types than strings match nothing."""
        if self.base == EQUALS:
            return value in self.values
        if self.base == EQUALS_ANY_CASE:
            return value.lower() in {one.lower() for one in self.values}
        return self.base == LIKE and any(matches_pattern(value, pattern) for pattern in self.values)


def read_conditions(statement: Policy) -> Iterator[Condition]:
    """Read all conditions of a statement, which must all be true. Raises PolicyError."""
    condition: Any = statement.get("Condition") or {}
    if not isinstance(condition, dict) or not all(isinstance(keys, dict) for keys in condition.values()):
        raise PolicyError("Condition of a statement must be an object of operators, each with an object of keys")
    for operator, keys in condition.items():
        for key, value in keys.items():
            yield Condition(operator, key, tuple(read_values(value)))


def matches_pattern(value: str, pattern: str) -> bool:
    """Return whether a value matches a pattern of StringLike."""
    parts = [".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", pattern)]
    return re2.fullmatch("".join(parts), value) is not None
