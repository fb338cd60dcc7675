"""Which certificate a replica serves, by Secret, caBundle, current certificate and time."""

from dataclasses import replace

import pytest

from injector.certs.ca_store import (
    CaBundleState,
    SecretState,
)
from injector.certs.rotation import choose_serving_cert
from injector.certs.state import ObservedState, ServingCert
from injector.certs.x509 import (
    DAY_SECONDS,
)
from tests.unit.injector.certs.rotation_examples import (
    AT_REST,
    CURRENT_NEW,
    CURRENT_OLD,
    FOREIGN_CA,
    LATE,
    NEW_CA,
    NOW,
    OLD,
    OLD_CA,
    POLICY,
    PROPAGATION,
    ROTATED,
    issue_leaf,
    published,
)

RENEWED = ServingCert(issue_leaf(OLD, LATE), OLD_CA)


@pytest.mark.parametrize(
    ("secret", "ca_bundle", "current", "now", "chosen"),
    [
        (SecretState(), published(), None, NOW, None),
        (SecretState(), published(), CURRENT_OLD, NOW, CURRENT_OLD),
        (ROTATED, published(), None, NOW, CURRENT_NEW),
        (ROTATED, published(NEW_CA, OLD_CA), CURRENT_OLD, NOW, CURRENT_OLD),
        (ROTATED, published(NEW_CA, OLD_CA), CURRENT_OLD, NOW + PROPAGATION, CURRENT_NEW),
        (ROTATED, None, CURRENT_OLD, NOW + PROPAGATION, CURRENT_OLD),
        (ROTATED, published(OLD_CA), CURRENT_OLD, NOW + PROPAGATION, CURRENT_OLD),
        (ROTATED, published(NEW_CA), CURRENT_OLD, NOW, CURRENT_NEW),
        (ROTATED, published(FOREIGN_CA), CURRENT_OLD, NOW + PROPAGATION, CURRENT_OLD),
        (
            replace(AT_REST, pair=issue_leaf(OLD, LATE)),
            None,
            CURRENT_OLD,
            LATE,
            ServingCert(issue_leaf(OLD, LATE), OLD_CA),
        ),
        (AT_REST, published(OLD_CA), None, NOW + 91 * DAY_SECONDS, None),
    ],
    ids=[
        "nothing",
        "empty-secret",
        "start",
        "just-published",
        "published-long-enough",
        "no-configuration",
        "not-published",
        "only-new-ca-published",
        "neither-published",
        "renewed-by-same-ca",
        "secret-has-expired-cert",
    ],
)
def test_chosen_serving_cert(
    secret: SecretState,
    ca_bundle: CaBundleState | None,
    current: ServingCert | None,
    now: float,
    chosen: ServingCert | None,
) -> None:
    result = choose_serving_cert(ObservedState(secret, ca_bundle, current, now), POLICY)

    assert (result and result.issuer) == (chosen and chosen.issuer)
    assert (result and result.pair.certificate.issued) == (chosen and chosen.pair.certificate.issued)
