"""Limits the explanations of one decision: a user can write a pod with thousands of problems."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from injector.reasons import Explanation, Reason

T = TypeVar("T")

MAX_EXPLANATIONS = 10
"""Of one decision; a last one has the number of the others."""


def limit_explanations(found: Iterable[Explanation], most: int = MAX_EXPLANATIONS) -> tuple[Explanation, ...]:
    """Keep the first ones, and count the others in a last one, such as `And 3 more.`."""
    kept: list[Explanation] = []
    others = 0
    for explanation in found:
        if explanation.reason is Reason.MORE:
            others += int(explanation.values["count"])
        elif len(kept) < most:
            kept.append(explanation)
        else:
            others += 1
    return (*kept, Reason.MORE.explain(count=str(others))) if others else tuple(kept)


def explain_each(things: Sequence[T], explain: Callable[[T], Explanation]) -> Iterator[Explanation]:
    """Explain the first MAX_EXPLANATIONS of these, and count the others."""
    for thing in things[:MAX_EXPLANATIONS]:
        yield explain(thing)
    if len(things) > MAX_EXPLANATIONS:
        yield Reason.MORE.explain(count=str(len(things) - MAX_EXPLANATIONS))
