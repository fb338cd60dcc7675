"""CAs, serving certificates and states of a rotation, and functions that find and apply one step."""

from injector.certs.ca_store import (
    CaBundleState,
    SecretState,
    build_secret,
    parse_secret,
)
from injector.certs.rotation import next_step
from injector.certs.state import ObservedState, PatchCaBundle, RotationPolicy, ServingCert, UpdateSecret
from injector.certs.x509 import (
    DAY_SECONDS,
    Certificate,
    KeyPair,
    Lifetimes,
    issue_ca,
    issue_serving_cert,
)

NOW = 1_795_000_000.0
LIFETIMES = Lifetimes()
POLICY = RotationPolicy(frozenset({"podrole-injector.podrole-system.svc"}))
PROPAGATION = LIFETIMES.propagation_seconds
LATE = NOW + 61 * DAY_SECONDS


def issue_leaf(ca: KeyPair, now: float = NOW) -> KeyPair:
    return issue_serving_cert(ca, POLICY.names, now, LIFETIMES)


OLD, NEW, FOREIGN = (issue_ca(NOW, LIFETIMES) for _ in range(3))
OLD_CA, NEW_CA, FOREIGN_CA = OLD.certificate, NEW.certificate, FOREIGN.certificate
OLD_LEAF, NEW_LEAF, FOREIGN_LEAF = issue_leaf(OLD), issue_leaf(NEW), issue_leaf(FOREIGN)

CURRENT_OLD, CURRENT_NEW = ServingCert(OLD_LEAF, OLD_CA), ServingCert(NEW_LEAF, NEW_CA)

AT_REST = SecretState((OLD_CA,), OLD, OLD_LEAF)
ROTATING = SecretState((NEW_CA, OLD_CA), NEW, OLD_LEAF)
ROTATED = SecretState((NEW_CA, OLD_CA), NEW, NEW_LEAF)


def published(*cas: Certificate, since: float | None = NOW) -> CaBundleState:
    return CaBundleState((cas, cas), since)


def find_step(
    secret: SecretState, ca_bundle: CaBundleState | None, now: float = NOW, current: ServingCert | None = None
) -> UpdateSecret | PatchCaBundle | None:
    return next_step(ObservedState(secret, ca_bundle, current, now), POLICY)


def apply_update(
    secret: SecretState, ca_bundle: CaBundleState | None, now: float = NOW, current: ServingCert | None = None
) -> SecretState:
    step = find_step(secret, ca_bundle, now, current)
    assert isinstance(step, UpdateSecret), step
    assert parse_secret({"metadata": {}, **build_secret(None, step.secret)}) == step.secret
    return step.secret


def find_signer(secret: SecretState) -> Certificate | None:
    return secret.find_issuer(secret.pair)
