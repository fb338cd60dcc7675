"""What a replica knows about certificates at one moment, what it holds to, and what it may do next."""

from dataclasses import dataclass, field

from injector.certs.ca_store import CaBundleState, SecretState
from injector.certs.x509 import Certificate, KeyPair, Lifetimes


@dataclass(frozen=True, slots=True)
class ServingCert:
    """The leaf that this replica serves, and who issued it."""

    pair: KeyPair
    issuer: Certificate

    def is_valid(self, now: float) -> bool:
        """Whether a client that trusts the issuer accepts it."""
        return self.pair.certificate.is_valid(now) and self.issuer.is_valid(now)


@dataclass(frozen=True, slots=True)
class ObservedState:
    """All that a replica knows at one moment."""

    secret: SecretState
    ca_bundle: CaBundleState | None
    served: ServingCert | None
    now: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class RotationPolicy:
    """Which names a leaf must have, how long things live, and how often to look."""

    names: frozenset[str]
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    period_seconds: int = 10
    """How often the Secret is read. A change of the webhook configuration is noticed at once."""


@dataclass(frozen=True, slots=True)
class UpdateSecret:
    """Put this into the Secret."""

    secret: SecretState
    what: str


@dataclass(frozen=True, slots=True)
class PatchCaBundle:
    """Put this bundle into the caBundle of every webhook."""

    cas: tuple[Certificate, ...]
