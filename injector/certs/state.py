"""The input and output of the rotation: what a replica observes, its policy, and the steps that it can take."""

from dataclasses import dataclass, field

from injector.certs.ca_store import CaBundleState, SecretState
from injector.certs.x509 import Certificate, KeyPair, Lifetimes
from injector.deadlines import CERT_POLL_SECONDS


@dataclass(frozen=True, slots=True)
class ServingCert:
    """The certificate that this replica serves, with its key and its CA."""

    pair: KeyPair
    issuer: Certificate

    def is_valid(self, now: float) -> bool:
        """Whether a client that trusts the issuer accepts it."""
        return self.pair.certificate.is_valid(now) and self.issuer.is_valid(now)


@dataclass(frozen=True, slots=True)
class ObservedState:
    """Everything that a replica knows at one moment."""

    secret: SecretState
    ca_bundle: CaBundleState | None
    serving_cert: ServingCert | None
    """None before the first one."""

    now: float
    """Seconds since the epoch."""

    is_server_time: bool = False
    """Whether `now` is the API server's time, or only our own, which can be wrong."""


@dataclass(frozen=True, slots=True)
class RotationPolicy:
    """The DNS names of the serving certificate, the lifetimes, and the polling interval."""

    names: frozenset[str]
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    poll_seconds: int = CERT_POLL_SECONDS
    """How often the Secret is read. The webhook configuration is watched."""


@dataclass(frozen=True, slots=True)
class UpdateSecret:
    """Write this state to the Secret."""

    secret: SecretState
    description: str
    """What changes and why, for the log."""

    has_new_ca: bool = False
    """Whether its first CA is new. Its other CAs can then come from the caBundle, which must not change before."""


@dataclass(frozen=True, slots=True)
class PatchCaBundle:
    """Set the caBundle of every webhook to these CAs."""

    cas: tuple[Certificate, ...]
