"""A hostile tenant: does one random thing at a time, and remembers what it created."""

import json
import math
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from testing.cluster.api import RefusedError
from testing.hostile.good_tenant import User
from testing.hostile.objects import EMOJI

KEPT = 40
"""Pods and ServiceAccounts that exist at once; the oldest is deleted for a new one."""

FILLERS = ("a", ",", "a=b,", '"', "<", "\n", EMOJI, "[", "*", "\\PL", "\x1b[31m")

Answer = str


@dataclass
class HostileTenant:
    """One tenant: its namespace, and what it has created there. Used by several threads."""

    user: User
    port: int
    """Of the webhook."""

    random: random.Random
    pods: list[str] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)

    def act(self, operations: "Mapping[str, Weighted]") -> tuple[str, Answer]:
        """Do one thing; return what, and the kind of answer."""
        weights = [weight for weight, _ in operations.values()]
        [(name, (_, operation))] = self.random.choices([*operations.items()], weights)
        try:
            answer = operation(self) or "accepted"
        except RefusedError as error:
            answer = classify(str(error))
        return name, answer

    def size(self, largest: int) -> int:
        """A random size; each order of magnitude is as likely as the others."""
        return int(math.exp(self.random.uniform(0, math.log(largest))))

    def text(self, largest: int) -> str:
        """A text of one repeated filler. JSON can need six bytes for one of it."""
        filler = self.random.choice(FILLERS)
        return filler * (self.size(largest) // len(json.dumps(filler)) + 1)

    def number(self) -> int:
        """A random number, for names and values that no cache has seen."""
        return self.random.randrange(10**9)

    def remember(self, names: list[str], kind: str, name: str) -> None:
        """Delete the oldest objects beyond KEPT."""
        names.append(name)
        while len(names) > KEPT:
            self.user.api.delete(kind, names.pop(0), self.user.namespace)


Weighted = tuple[int, Callable[[HostileTenant], Answer | None]]
"""How often something is done, compared with the others, and what does it."""


def classify(message: str) -> Answer:
    """Who refused a request."""
    for answer, pattern in ANSWERS.items():
        if re.search(pattern, message):
            return answer
    return "refused by the API server"


ANSWERS = {
    "denied by the webhook": "admission webhook .* denied the request",
    "refused by a policy": "ValidatingAdmissionPolicy",
    "no answer of the webhook": "deadline exceeded|EOF|connection re",
    "rejected by the webhook": "failed calling webhook",
    "not found": "not found",
}
