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

PROPAGATED = NOW + PROPAGATION
RENEWED = ServingCert(issue_leaf(OLD, LATE), OLD_CA)


@pytest.mark.parametrize(
    ("secret", "ca_bundle", "current", "now", "chosen"),
    [
        pytest.param(SecretState(), published(), None, NOW, None, id="nothing"),
        pytest.param(SecretState(), published(), CURRENT_OLD, NOW, CURRENT_OLD, id="empty-secret"),
        pytest.param(ROTATED, published(), None, NOW, CURRENT_NEW, id="start"),
        pytest.param(ROTATED, published(NEW_CA, OLD_CA), CURRENT_OLD, NOW, CURRENT_OLD, id="just-published"),
        pytest.param(ROTATED, published(NEW_CA, OLD_CA), CURRENT_OLD, PROPAGATED, CURRENT_NEW, id="propagated"),
        pytest.param(ROTATED, None, CURRENT_OLD, PROPAGATED, CURRENT_OLD, id="no-configuration"),
        pytest.param(ROTATED, published(OLD_CA), CURRENT_OLD, PROPAGATED, CURRENT_OLD, id="not-published"),
        pytest.param(ROTATED, published(NEW_CA), CURRENT_OLD, NOW, CURRENT_NEW, id="only-new-ca-published"),
        pytest.param(ROTATED, published(FOREIGN_CA), CURRENT_OLD, PROPAGATED, CURRENT_OLD, id="neither-published"),
        pytest.param(replace(AT_REST, pair=RENEWED.pair), None, CURRENT_OLD, LATE, RENEWED, id="renewed-by-same-ca"),
        pytest.param(AT_REST, published(OLD_CA), None, NOW + 91 * DAY_SECONDS, None, id="secret-has-expired-cert"),
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
