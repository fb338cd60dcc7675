"""The results of a decision: plain values, from the rules to the plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from contract.modes import Mode
from injector.decision.pod_settings import PodSettings
from injector.reasons import Explanation, Reason

Explanations = tuple[Explanation, ...]


class Outcome(StrEnum):
    """The result of a review, in logs and JSON output."""

    INJECT = "Inject"
    BLOCK = "Block"
    SKIP = "Skip"
    DENY = "Deny"
    FAIL = "Fail"
    """The pod is denied because of an error, not by a rule."""


@dataclass(frozen=True, slots=True)
class Inject:
    """The pod gets its role: a sidecar, and in redirect mode the redirect."""

    outcome: ClassVar[Outcome] = Outcome.INJECT
    role_arn: str
    mode: Mode
    settings: PodSettings
    warnings: Explanations = ()

    @property
    def reason(self) -> Reason:
        """Where the role comes from."""
        return self.settings.role_reason


@dataclass(frozen=True, slots=True)
class Block:
    """The pod has no role: a redirect container whose rules block the metadata addresses."""

    outcome: ClassVar[Outcome] = Outcome.BLOCK
    reason: Reason
    warnings: Explanations = ()
    sidecar_resources: Mapping[str, str] = field(default_factory=dict)
    """Of the annotation: they raise those of the redirect container, too."""


@dataclass(frozen=True, slots=True)
class Skip:
    """The pod is allowed unchanged."""

    outcome: ClassVar[Outcome] = Outcome.SKIP
    reason: Reason
    warnings: Explanations = ()


@dataclass(frozen=True, slots=True)
class Deny:
    """The pod is denied, for all of these reasons."""

    outcome: ClassVar[Outcome] = Outcome.DENY
    explanations: Explanations
    warnings: Explanations = ()
    """Keys that have no effect: one of them may have been meant to prevent the denial, as a misspelt allow-list."""

    role_arn: str | None = None
    """The role that the pod asks for; None: none, or its value is invalid."""


Decision = Inject | Block | Skip | Deny
