"""The next step of a rotation, by Secret, caBundle, serving certificate and time."""

from dataclasses import replace

import pytest

from injector.certs.ca_store import (
    CaBundleState,
    SecretState,
)
from injector.certs.rotation import MAX_CAS, next_step
from injector.certs.state import ObservedState, PatchCaBundle, RotationPolicy, ServingCert, UpdateSecret
from injector.certs.x509 import (
    DAY_SECONDS,
    KeyPair,
    issue_ca,
    issue_serving_cert,
)
from tests.unit.injector.certs.rotation_examples import (
    AT_REST,
    CURRENT_OLD,
    FOREIGN_CA,
    FOREIGN_LEAF,
    LATE,
    LIFETIMES,
    NEW,
    NEW_CA,
    NEW_LEAF,
    NOW,
    OLD,
    OLD_CA,
    OLD_LEAF,
    POLICY,
    PROPAGATION,
    ROTATED,
    ROTATING,
    apply_update,
    find_signer,
    find_step,
    issue_leaf,
    published,
)


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(SecretState(), id="empty"),
        pytest.param(SecretState((OLD_CA,), None, None), id="only-ca-certificate"),
        pytest.param(SecretState((), None, OLD_LEAF), id="only-serving-certificate"),
    ],
)
def test_secret_without_ca_key_gets_new_ca_and_serving_cert(secret: SecretState) -> None:
    result = apply_update(secret, published())

    assert result.ca is not None
    assert result.cas == (result.ca.certificate, *secret.cas)
    assert find_signer(result) == result.cas[0]


def test_valid_serving_cert_is_kept_with_new_ca() -> None:
    result = apply_update(replace(AT_REST, ca=None), published(OLD_CA))

    assert result.pair == OLD_LEAF
    assert result.cas[1:] == (OLD_CA,)


def test_empty_secret_gets_the_serving_cert_in_use() -> None:
    result = apply_update(SecretState(), published(OLD_CA), current=ServingCert(OLD_LEAF, OLD_CA))

    assert result.cas[1:] == (OLD_CA,)
    assert result.pair == OLD_LEAF


def test_starting_replica_keeps_published_ca_when_secret_is_empty() -> None:
    result = apply_update(SecretState(), published(OLD_CA))

    assert result.cas[1:] == (OLD_CA,)
    assert find_signer(result) == result.cas[0]


def test_ca_of_another_issuer_is_not_copied_from_ca_bundle() -> None:
    key = issue_ca(NOW, LIFETIMES)
    foreign = issue_serving_cert(key, {"other.example"}, NOW, LIFETIMES).certificate

    result = apply_update(SecretState(), published(foreign))

    assert len(result.cas) == 1


@pytest.mark.parametrize(
    ("now", "secret"),
    [
        (NOW + 3650 * DAY_SECONDS * 2 / 3, AT_REST),
        (NOW + 3650 * DAY_SECONDS, AT_REST),
        (NOW, replace(AT_REST, request="ca")),
    ],
    ids=["due", "expired", "requested"],
)
def test_ca_is_replaced(now: float, secret: SecretState) -> None:
    result = apply_update(secret, published(OLD_CA), now)

    assert result.cas[0] != OLD_CA
    assert result.request == ""
    assert (OLD_CA in result.cas) == (now < OLD_CA.not_after)


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(AT_REST, id="both"),
        pytest.param(replace(AT_REST, pair=issue_leaf(OLD, NOW + DAY_SECONDS)), id="serving-cert-later"),
    ],
)
def test_nothing_is_replaced_as_it_is_not_valid_yet(secret: SecretState) -> None:
    """Our own clock can be behind."""
    since = published(OLD_CA, since=NOW - 100 * DAY_SECONDS)

    assert find_step(secret, since, NOW - 100 * DAY_SECONDS) is None


def test_ca_that_is_not_valid_yet_gets_one_serving_cert() -> None:
    before = NOW - 100 * DAY_SECONDS
    result = apply_update(replace(AT_REST, pair=None), published(OLD_CA, since=before), before)

    assert result.cas == (OLD_CA,)
    assert find_step(result, published(OLD_CA, since=before), before) is None


@pytest.mark.parametrize(
    ("seconds", "is_replaced"),
    [
        pytest.param(301, False, id="seconds"),
        pytest.param(600, False, id="five-minutes"),
        pytest.param(601, True, id="more-than-five-minutes"),
        pytest.param(100 * DAY_SECONDS, True, id="100-days"),
    ],
)
def test_ca_that_is_not_valid_for_long_by_the_time_of_the_api_server_is_replaced(
    seconds: float,
    is_replaced: bool,  # noqa: FBT001 - a table
) -> None:
    """A wrong clock has issued it, and nobody can use it. Certificates are valid 300 s before their issue."""
    now = NOW - seconds
    step = next_step(ObservedState(AT_REST, published(OLD_CA, since=now), None, now, is_server_time=True), POLICY)

    assert (isinstance(step, UpdateSecret) and step.secret.cas[0] != OLD_CA) is is_replaced


def test_new_ca_is_published_before_it_signs() -> None:
    assert find_step(ROTATING, published(OLD_CA)) == PatchCaBundle((NEW_CA, OLD_CA))


@pytest.mark.parametrize(
    ("ca_bundle", "now", "is_issued"),
    [
        (published(NEW_CA, OLD_CA), NOW, False),
        (published(NEW_CA, OLD_CA), NOW + PROPAGATION - 1, False),
        (published(NEW_CA, OLD_CA), NOW + PROPAGATION, True),
        (published(NEW_CA, OLD_CA, since=NOW + 600), NOW + PROPAGATION, False),
        (None, NOW + PROPAGATION, False),
    ],
    ids=["just-published", "too-early", "long-enough", "published-in-the-future", "no-configuration"],
)
def test_new_ca_signs_after_it_was_published_for_five_minutes(
    ca_bundle: CaBundleState | None,
    now: float,
    is_issued: bool,  # noqa: FBT001 - a table
) -> None:
    step = find_step(ROTATING, ca_bundle, now)

    assert (isinstance(step, UpdateSecret) and find_signer(step.secret) == NEW_CA) is is_issued


@pytest.mark.parametrize(
    "ca_bundle",
    [
        published(),
        published(FOREIGN_CA),
        published(FOREIGN_CA, OLD_CA),
        CaBundleState(((OLD_CA,), ()), NOW),
        CaBundleState(((OLD_CA,), (OLD_CA, FOREIGN_CA)), NOW),
        published(OLD_CA, since=None),
        published(OLD_CA, since=NOW + PROPAGATION + 1),
    ],
    ids=["empty", "foreign", "additional-ca", "second-empty", "second-differs", "no-annotation", "future-annotation"],
)
def test_different_ca_bundle_is_repaired(ca_bundle: CaBundleState) -> None:
    assert find_step(AT_REST, ca_bundle) == PatchCaBundle((OLD_CA,))


def test_no_step_is_due_at_rest() -> None:
    assert find_step(AT_REST, published(OLD_CA)) is None
    assert find_step(ROTATED, published(NEW_CA, OLD_CA)) is None


@pytest.mark.parametrize(
    ("secret", "now"),
    [
        (replace(AT_REST, pair=None), NOW),
        (replace(AT_REST, pair=FOREIGN_LEAF), NOW),
        (AT_REST, NOW + 90 * DAY_SECONDS),
        (AT_REST, LATE),
        (replace(AT_REST, request="leaf"), NOW),
        (replace(AT_REST, pair=issue_serving_cert(OLD, {"another.svc"}, NOW, LIFETIMES)), NOW),
    ],
    ids=["missing", "of-another-ca", "expired", "due", "requested", "without-a-name"],
)
def test_serving_cert_is_replaced_at_once_by_the_same_ca(secret: SecretState, now: float) -> None:
    result = apply_update(secret, published(OLD_CA, since=now), now)

    assert find_signer(result) == OLD_CA
    assert result.pair
    assert result.pair.certificate.issued == now
    assert result.pair.certificate.names >= POLICY.names
    assert result.request == ""


def test_replicas_with_different_names_share_one_serving_cert() -> None:
    other = RotationPolicy(
        frozenset({"podrole-injector.podrole-system.svc", "podrole-injector.podrole-system.svc.other"})
    )
    step = next_step(ObservedState(AT_REST, published(OLD_CA), None, NOW), other)
    assert isinstance(step, UpdateSecret)

    assert find_step(step.secret, published(OLD_CA)) is None
    assert next_step(ObservedState(step.secret, published(OLD_CA), None, NOW), other) is None


def test_damaged_serving_cert_is_replaced_by_the_one_in_use() -> None:
    result = apply_update(replace(AT_REST, pair=None), published(OLD_CA), current=ServingCert(OLD_LEAF, OLD_CA))

    assert result.pair == OLD_LEAF


def test_restored_secret_gets_the_ca_in_use_before_it_is_published() -> None:
    current = ServingCert(NEW_LEAF, NEW_CA)

    result = apply_update(AT_REST, published(NEW_CA), current=current)

    assert set(result.cas[1:]) == {OLD_CA, NEW_CA}
    assert result.pair == NEW_LEAF
    assert find_step(result, published(NEW_CA), current=current) == PatchCaBundle(result.cas)


def test_restored_secret_is_detected_by_a_newer_ca_in_ca_bundle() -> None:
    later = issue_ca(NOW + 60, LIFETIMES).certificate

    result = apply_update(AT_REST, published(later, OLD_CA), NOW + 120, current=CURRENT_OLD)

    assert result.cas[1:] == (later, OLD_CA)


def test_repeatedly_emptied_secret_keeps_a_limited_number_of_cas() -> None:
    result = AT_REST
    for minute in range(3 * MAX_CAS):
        now = NOW + 60 * minute
        result = apply_update(SecretState(), published(*result.cas, since=now), now, CURRENT_OLD)

    assert len(result.cas) == MAX_CAS + 1
    assert OLD_CA in result.cas
    assert result.pair == OLD_LEAF


def test_two_installations_with_one_configuration_stop_adding_cas() -> None:
    ca_bundle, secret = published(OLD_CA), [AT_REST, SecretState((NEW_CA,), NEW, NEW_LEAF)]
    for minute in range(3 * MAX_CAS):
        one = minute % 2
        step = find_step(secret[one], ca_bundle, NOW + 60 * minute)
        while isinstance(step, UpdateSecret):
            secret[one] = step.secret
            step = find_step(secret[one], ca_bundle, NOW + 60 * minute)
        ca_bundle = published(*secret[one].cas, since=NOW + 60 * minute)

    assert all(len(each.cas) <= 2 * MAX_CAS for each in secret)


def test_old_ca_of_another_history_is_kept_while_its_cert_can_be_valid() -> None:
    """Both CAs were issued in the same second, so their order says nothing about which one signed later."""
    now = NOW + 120 * DAY_SECONDS
    first = issue_ca(now, LIFETIMES)
    secret = SecretState((first.certificate, FOREIGN_CA, OLD_CA), first, issue_leaf(OLD, NOW + 60 * DAY_SECONDS))

    assert find_step(secret, published(*secret.cas, since=now), now) is None


def test_removed_ca_is_not_added_again_while_still_published() -> None:
    later = issue_ca(NOW + 60, LIFETIMES)
    secret = SecretState((later.certificate,), later, issue_leaf(later, NOW + 60))

    assert find_step(secret, published(later.certificate, OLD_CA), NOW + 120) == PatchCaBundle((later.certificate,))


@pytest.mark.parametrize(
    ("days", "is_removed"), [(0, False), (89, False), (91, True)], ids=["new", "cert-can-be-valid", "certs-expired"]
)
def test_old_ca_is_removed_when_its_certs_have_expired(
    days: int,
    is_removed: bool,  # noqa: FBT001 - a table
) -> None:
    now = NOW + days * DAY_SECONDS
    secret = replace(ROTATED, pair=issue_leaf(NEW, now))

    step = find_step(secret, published(NEW_CA, OLD_CA), now)

    assert (isinstance(step, UpdateSecret) and step.secret.cas == (NEW_CA,)) is is_removed


@pytest.mark.parametrize(
    ("pair", "since", "now", "is_removed"),
    [
        (OLD_LEAF, NOW, NOW + PROPAGATION - 1, False),
        (NEW_LEAF, NOW, NOW + 2 * PROPAGATION - 1, False),
        (NEW_LEAF, NOW + 60, NOW + 2 * PROPAGATION, False),
        (NEW_LEAF, NOW, NOW + 2 * PROPAGATION, True),
    ],
    ids=["not-replaced", "too-early", "published-too-late", "rolled-out"],
)
def test_old_ca_is_removed_on_request_when_every_replica_has_the_new_cert(
    pair: KeyPair,
    since: float,
    now: float,
    is_removed: bool,  # noqa: FBT001 - a table
) -> None:
    step = find_step(replace(ROTATED, pair=pair, request="drop"), published(NEW_CA, OLD_CA, since=since), now)

    assert (isinstance(step, UpdateSecret) and step.secret.cas == (NEW_CA,)) is is_removed
    assert not isinstance(step, UpdateSecret) or step.secret.request == ""
