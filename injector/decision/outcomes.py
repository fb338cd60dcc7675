"""What can become of a pod: plain values, from the rules that decide to the plan that is made of them."""

from dataclasses import dataclass

from contract.modes import Mode
from injector.reasons import Explanation, Reason

Explanations = tuple[Explanation, ...]


@dataclass(frozen=True, slots=True)
class Inject:
    """The pod gets its role: a sidecar, and in redirect mode the rules."""

    role_arn: str
    mode: Mode
    session_name: str | None
    session_duration: str | None
    imds_tokens: str | None
    intermediate_role: str | None
    external_id: str | None
    session_tags: str | None
    passes_metadata: bool
    """Whether the sidecar answers some of the node's metadata."""

    reason: Reason
    warnings: Explanations = ()


@dataclass(frozen=True, slots=True)
class Block:
    """The pod has no role: a redirect container whose rules close the metadata addresses."""

    reason: Reason
    warnings: Explanations = ()


@dataclass(frozen=True, slots=True)
class Skip:
    """The pod is allowed as it came."""

    reason: Reason
    warnings: Explanations = ()


@dataclass(frozen=True, slots=True)
class Deny:
    """The pod is refused, for every one of these."""

    explanations: Explanations


Decision = Inject | Block | Skip | Deny
