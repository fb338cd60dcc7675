"""What a statement's Condition says of a token's audience and subject. Nothing is judged here.

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
    """As it is written."""

    key: str
    values: tuple[str, ...]

    @property
    def base(self) -> str:
        """The operator without what surrounds it. Operators and keys are in any case."""
        return self.operator.lower().removeprefix(FOR_ANY).removeprefix(FOR_ALL).removesuffix(IF_EXISTS)

    @property
    def is_weak(self) -> bool:
        """Whether it can be true for a request that none of its values fits."""
        operator = self.operator.lower()
        return operator.startswith(FOR_ALL) or operator.endswith(IF_EXISTS) or "not" in self.base or self.base == "null"

    def matches(self, value: str) -> bool:
        """Whether a request with this value is let through. Operators that are not for strings let nothing through."""
        if self.base == EQUALS:
            return value in self.values
        if self.base == EQUALS_ANY_CASE:
            return value.lower() in {one.lower() for one in self.values}
        return self.base == LIKE and any(_fits_pattern(value, pattern) for pattern in self.values)


def read_conditions(statement: Policy) -> Iterator[Condition]:
    """All conditions of a statement: every one must be true. Raises PolicyError."""
    condition: Any = statement.get("Condition") or {}
    if not isinstance(condition, dict) or not all(isinstance(keys, dict) for keys in condition.values()):
        raise PolicyError("Condition of a statement must be an object of operators, each with an object of keys")
    for operator, keys in condition.items():
        for key, value in keys.items():
            yield Condition(operator, key, tuple(read_values(value)))


def _fits_pattern(value: str, pattern: str) -> bool:
    parts = [".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", pattern)]
    return re2.fullmatch("".join(parts), value) is not None
