"""What a replica knows about certificates at one moment, what it holds to, and what it may do next."""

from dataclasses import dataclass, field

from injector.certs.ca_store import Held, Published
from injector.certs.x509 import Certificate, Lifetimes, Pair


@dataclass(frozen=True, slots=True)
class Served:
    """The leaf that this replica serves, and who issued it."""

    pair: Pair
    issuer: Certificate

    def is_valid(self, now: float) -> bool:
        """Whether a client that trusts the issuer accepts it."""
        return self.pair.certificate.is_valid(now) and self.issuer.is_valid(now)


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a replica knows at one moment."""

    held: Held
    published: Published | None
    served: Served | None
    now: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which names a leaf must have, how long things live, and how often to look."""

    names: frozenset[str]
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    period_seconds: int = 10
    """How often the Secret is read. A change of the webhook configuration is noticed at once."""


@dataclass(frozen=True, slots=True)
class Write:
    """Put this into the Secret."""

    held: Held
    what: str


@dataclass(frozen=True, slots=True)
class Publish:
    """Put this bundle into the caBundle of every webhook."""

    authorities: tuple[Certificate, ...]
