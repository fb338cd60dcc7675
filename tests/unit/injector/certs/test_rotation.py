"""What comes next, as tables: what the Secret holds, what the webhook configuration shows, what is served, and when."""

from base64 import b64decode, b64encode
from dataclasses import replace
from typing import Any

import pytest

from injector.certs.ca_store import (
    CaBundleState,
    SecretState,
    build_ca_bundle_patch,
    build_secret,
    parse_secret,
    parse_webhook_configuration,
)
from injector.certs.rotation import MAX_CAS, choose_serving_cert, next_step
from injector.certs.state import ObservedState, PatchCaBundle, RotationPolicy, ServingCert, UpdateSecret
from injector.certs.x509 import (
    DAY_SECONDS,
    Certificate,
    KeyPair,
    Lifetimes,
    issue_ca,
    issue_serving_cert,
    parse_certificates,
)

NOW = 1_795_000_000.0
LIFETIMES = Lifetimes()
POLICY = RotationPolicy(frozenset({"podrole-injector.podrole-system.svc"}))
SETTLE = LIFETIMES.propagation_seconds
LATE = NOW + 61 * DAY_SECONDS


def leaf_of(ca: KeyPair, now: float = NOW) -> KeyPair:
    return issue_serving_cert(ca, POLICY.names, now, LIFETIMES)


OLD, NEW, FOREIGN = (issue_ca(NOW, LIFETIMES) for _ in range(3))
OLD_CA, NEW_CA, FOREIGN_CA = OLD.certificate, NEW.certificate, FOREIGN.certificate
OLD_LEAF, NEW_LEAF, FOREIGN_LEAF = leaf_of(OLD), leaf_of(NEW), leaf_of(FOREIGN)

SERVED_OLD, SERVED_NEW = ServingCert(OLD_LEAF, OLD_CA), ServingCert(NEW_LEAF, NEW_CA)

WHOLE = SecretState((OLD_CA,), OLD, OLD_LEAF)
ROTATING = SecretState((NEW_CA, OLD_CA), NEW, OLD_LEAF)
ROTATED = SecretState((NEW_CA, OLD_CA), NEW, NEW_LEAF)


def shown(*cas: Certificate, since: float | None = NOW) -> CaBundleState:
    return CaBundleState((cas, cas), since)


def step_of(
    secret: SecretState, ca_bundle: CaBundleState | None, now: float = NOW, served: ServingCert | None = None
) -> UpdateSecret | PatchCaBundle | None:
    return next_step(ObservedState(secret, ca_bundle, served, now), POLICY)


def written(
    secret: SecretState, ca_bundle: CaBundleState | None, now: float = NOW, served: ServingCert | None = None
) -> SecretState:
    step = step_of(secret, ca_bundle, now, served)
    assert isinstance(step, UpdateSecret), step
    assert parse_secret({"metadata": {}, **build_secret(None, step.secret)}) == step.secret
    return step.secret


def signer_of(secret: SecretState) -> Certificate | None:
    return secret.find_issuer(secret.pair)


@pytest.mark.parametrize("secret", [SecretState(), SecretState((OLD_CA,), None, None), SecretState((), None, OLD_LEAF)])
def test_a_secret_without_an_authority_gets_a_new_one_and_its_leaf(secret: SecretState) -> None:
    result = written(secret, shown())

    assert result.ca is not None
    assert result.cas == (result.ca.certificate, *secret.cas)
    assert signer_of(result) == result.cas[0]


def test_a_leaf_that_is_still_good_is_kept_under_the_new_authority() -> None:
    result = written(replace(WHOLE, ca=None), shown(OLD_CA))

    assert result.pair == OLD_LEAF
    assert result.cas[1:] == (OLD_CA,)


def test_a_lost_secret_is_written_anew_with_what_is_served() -> None:
    result = written(SecretState(), shown(OLD_CA), served=ServingCert(OLD_LEAF, OLD_CA))

    assert result.cas[1:] == (OLD_CA,)
    assert result.pair == OLD_LEAF


def test_a_starting_replica_that_finds_no_secret_keeps_the_authority_of_the_others() -> None:
    result = written(SecretState(), shown(OLD_CA))

    assert result.cas[1:] == (OLD_CA,)
    assert signer_of(result) == result.cas[0]


def test_a_foreign_authority_in_the_configuration_is_not_carried_on() -> None:
    key = issue_ca(NOW, LIFETIMES)
    foreign = issue_serving_cert(key, {"somebody.example"}, NOW, LIFETIMES).certificate

    result = written(SecretState(), shown(foreign))

    assert len(result.cas) == 1


@pytest.mark.parametrize(
    ("now", "secret"),
    [
        (NOW + 3650 * DAY_SECONDS * 2 / 3, WHOLE),
        (NOW + 3650 * DAY_SECONDS, WHOLE),
        (NOW - 301, WHOLE),
        (NOW, replace(WHOLE, request="ca")),
    ],
    ids=["due", "expired", "from the future", "asked for"],
)
def test_an_authority_is_replaced(now: float, secret: SecretState) -> None:
    result = written(secret, shown(OLD_CA), now)

    assert result.cas[0] != OLD_CA
    assert result.request == ""
    assert (OLD_CA in result.cas) == (now < OLD_CA.not_after)


def test_the_bundle_is_shown_before_the_new_authority_signs_anything() -> None:
    assert step_of(ROTATING, shown(OLD_CA)) == PatchCaBundle((NEW_CA, OLD_CA))


@pytest.mark.parametrize(
    ("ca_bundle", "now", "is_issued"),
    [
        (shown(NEW_CA, OLD_CA), NOW, False),
        (shown(NEW_CA, OLD_CA), NOW + SETTLE - 1, False),
        (shown(NEW_CA, OLD_CA), NOW + SETTLE, True),
        (shown(NEW_CA, OLD_CA, since=NOW + 600), NOW + SETTLE, False),
        (None, NOW + SETTLE, False),
    ],
)
def test_the_new_authority_signs_when_it_has_been_shown_for_five_minutes(
    ca_bundle: CaBundleState | None,
    now: float,
    is_issued: bool,  # noqa: FBT001 - a table
) -> None:
    step = step_of(ROTATING, ca_bundle, now)

    assert (isinstance(step, UpdateSecret) and signer_of(step.secret) == NEW_CA) is is_issued


@pytest.mark.parametrize(
    "ca_bundle",
    [
        shown(),
        shown(FOREIGN_CA),
        shown(FOREIGN_CA, OLD_CA),
        CaBundleState(((OLD_CA,), ()), NOW),
        CaBundleState(((OLD_CA,), (OLD_CA, FOREIGN_CA)), NOW),
        shown(OLD_CA, since=None),
        shown(OLD_CA, since=NOW + SETTLE + 1),
    ],
    ids=["wiped", "foreign", "one too many", "second webhook wiped", "second differs", "undated", "dated ahead"],
)
def test_a_configuration_that_shows_anything_else_is_repaired(ca_bundle: CaBundleState) -> None:
    assert step_of(WHOLE, ca_bundle) == PatchCaBundle((OLD_CA,))


def test_nothing_is_to_be_done_when_all_is_well() -> None:
    assert step_of(WHOLE, shown(OLD_CA)) is None
    assert step_of(ROTATED, shown(NEW_CA, OLD_CA)) is None


@pytest.mark.parametrize(
    ("secret", "now"),
    [
        (replace(WHOLE, pair=None), NOW),
        (replace(WHOLE, pair=FOREIGN_LEAF), NOW),
        (WHOLE, NOW + 90 * DAY_SECONDS),
        (WHOLE, LATE),
        (replace(WHOLE, request="leaf"), NOW),
        (replace(WHOLE, pair=issue_serving_cert(OLD, {"another.svc"}, NOW, LIFETIMES)), NOW),
    ],
    ids=["missing", "of another authority", "expired", "due", "asked for", "without a name"],
)
def test_a_leaf_is_replaced_at_once_by_the_same_authority(secret: SecretState, now: float) -> None:
    result = written(secret, shown(OLD_CA, since=now), now)

    assert signer_of(result) == OLD_CA
    assert result.pair
    assert result.pair.certificate.issued == now
    assert result.pair.certificate.names >= POLICY.names
    assert result.request == ""


def test_replicas_with_different_names_agree_instead_of_replacing_each_others_leaf() -> None:
    other = RotationPolicy(
        frozenset({"podrole-injector.podrole-system.svc", "podrole-injector.podrole-system.svc.other"})
    )
    step = next_step(ObservedState(WHOLE, shown(OLD_CA), None, NOW), other)
    assert isinstance(step, UpdateSecret)

    assert step_of(step.secret, shown(OLD_CA)) is None
    assert next_step(ObservedState(step.secret, shown(OLD_CA), None, NOW), other) is None


def test_a_damaged_leaf_is_restored_from_the_one_that_is_served() -> None:
    result = written(replace(WHOLE, pair=None), shown(OLD_CA), served=ServingCert(OLD_LEAF, OLD_CA))

    assert result.pair == OLD_LEAF


def test_a_secret_from_a_backup_gets_the_authority_of_what_is_served_before_anything_is_shown() -> None:
    served = ServingCert(NEW_LEAF, NEW_CA)

    result = written(WHOLE, shown(NEW_CA), served=served)

    assert set(result.cas[1:]) == {OLD_CA, NEW_CA}
    assert result.pair == NEW_LEAF
    assert step_of(result, shown(NEW_CA), served=served) == PatchCaBundle(result.cas)


def test_a_secret_from_a_backup_is_noticed_by_a_replica_that_serves_no_newer_leaf() -> None:
    later = issue_ca(NOW + 60, LIFETIMES).certificate

    result = written(WHOLE, shown(later, OLD_CA), NOW + 120, served=SERVED_OLD)

    assert result.cas[1:] == (later, OLD_CA)


def test_a_secret_that_is_emptied_again_and_again_does_not_grow_for_ever() -> None:
    result = WHOLE
    for minute in range(3 * MAX_CAS):
        now = NOW + 60 * minute
        result = written(SecretState(), shown(*result.cas, since=now), now, SERVED_OLD)

    assert len(result.cas) == MAX_CAS + 1
    assert OLD_CA in result.cas
    assert result.pair == OLD_LEAF


def test_two_installations_with_one_configuration_do_not_outbid_each_other_for_ever() -> None:
    ca_bundle, secret = shown(OLD_CA), [WHOLE, SecretState((NEW_CA,), NEW, NEW_LEAF)]
    for minute in range(3 * MAX_CAS):
        one = minute % 2
        step = step_of(secret[one], ca_bundle, NOW + 60 * minute)
        while isinstance(step, UpdateSecret):
            secret[one] = step.secret
            step = step_of(secret[one], ca_bundle, NOW + 60 * minute)
        ca_bundle = shown(*secret[one].cas, since=NOW + 60 * minute)

    assert all(len(each.cas) <= 2 * MAX_CAS for each in secret)


def test_an_old_authority_of_another_line_is_kept_while_its_leaf_may_live() -> None:
    """Both of the same second: which of them signed later cannot be told."""
    now = NOW + 120 * DAY_SECONDS
    first = issue_ca(now, LIFETIMES)
    secret = SecretState((first.certificate, FOREIGN_CA, OLD_CA), first, leaf_of(OLD, NOW + 60 * DAY_SECONDS))

    assert step_of(secret, shown(*secret.cas, since=now), now) is None


def test_an_authority_that_was_dropped_is_not_taken_up_again_while_it_is_still_shown() -> None:
    later = issue_ca(NOW + 60, LIFETIMES)
    secret = SecretState((later.certificate,), later, leaf_of(later, NOW + 60))

    assert step_of(secret, shown(later.certificate, OLD_CA), NOW + 120) == PatchCaBundle((later.certificate,))


@pytest.mark.parametrize(
    ("days", "is_dropped"), [(0, False), (89, False), (91, True)], ids=["new", "a leaf may live", "none can"]
)
def test_an_old_authority_is_dropped_when_nothing_it_signed_is_alive(
    days: int,
    is_dropped: bool,  # noqa: FBT001 - a table
) -> None:
    now = NOW + days * DAY_SECONDS
    secret = replace(ROTATED, pair=leaf_of(NEW, now))

    step = step_of(secret, shown(NEW_CA, OLD_CA), now)

    assert (isinstance(step, UpdateSecret) and step.secret.cas == (NEW_CA,)) is is_dropped


@pytest.mark.parametrize(
    ("pair", "since", "now", "is_dropped"),
    [
        (OLD_LEAF, NOW, NOW + SETTLE - 1, False),
        (NEW_LEAF, NOW, NOW + 2 * SETTLE - 1, False),
        (NEW_LEAF, NOW + 60, NOW + 2 * SETTLE, False),
        (NEW_LEAF, NOW, NOW + 2 * SETTLE, True),
    ],
    ids=["not replaced", "too early", "shown too late", "replaced everywhere"],
)
def test_an_old_authority_is_dropped_on_request_when_every_replica_has_the_new_leaf(
    pair: KeyPair,
    since: float,
    now: float,
    is_dropped: bool,  # noqa: FBT001 - a table
) -> None:
    step = step_of(replace(ROTATED, pair=pair, request="drop"), shown(NEW_CA, OLD_CA, since=since), now)

    assert (isinstance(step, UpdateSecret) and step.secret.cas == (NEW_CA,)) is is_dropped
    assert not isinstance(step, UpdateSecret) or step.secret.request == ""


@pytest.mark.parametrize(
    ("secret", "ca_bundle", "served", "now", "chosen"),
    [
        (SecretState(), shown(), None, NOW, None),
        (SecretState(), shown(), SERVED_OLD, NOW, SERVED_OLD),
        (ROTATED, shown(), None, NOW, SERVED_NEW),
        (ROTATED, shown(NEW_CA, OLD_CA), SERVED_OLD, NOW, SERVED_OLD),
        (ROTATED, shown(NEW_CA, OLD_CA), SERVED_OLD, NOW + SETTLE, SERVED_NEW),
        (ROTATED, None, SERVED_OLD, NOW + SETTLE, SERVED_OLD),
        (ROTATED, shown(OLD_CA), SERVED_OLD, NOW + SETTLE, SERVED_OLD),
        (ROTATED, shown(NEW_CA), SERVED_OLD, NOW, SERVED_NEW),
        (ROTATED, shown(FOREIGN_CA), SERVED_OLD, NOW + SETTLE, SERVED_OLD),
        (replace(WHOLE, pair=leaf_of(OLD, LATE)), None, SERVED_OLD, LATE, ServingCert(leaf_of(OLD, LATE), OLD_CA)),
        (WHOLE, shown(OLD_CA), None, NOW + 91 * DAY_SECONDS, None),
    ],
    ids=[
        "nothing anywhere",
        "the Secret is lost",
        "a start",
        "shown just now",
        "shown for long",
        "no configuration",
        "not shown",
        "only the new one is shown",
        "neither is shown",
        "renewed by the same authority",
        "the Secret's has expired",
    ],
)
def test_which_leaf_is_served(
    secret: SecretState,
    ca_bundle: CaBundleState | None,
    served: ServingCert | None,
    now: float,
    chosen: ServingCert | None,
) -> None:
    result = choose_serving_cert(ObservedState(secret, ca_bundle, served, now), POLICY)

    assert (result and result.issuer) == (chosen and chosen.issuer)
    assert (result and result.pair.certificate.issued) == (chosen and chosen.pair.certificate.issued)


SECRET = {"metadata": {"resourceVersion": "7"}, **build_secret(None, ROTATED)}


def change(key: str, value: str) -> dict[str, Any]:
    return {**SECRET, "data": {**SECRET["data"], key: b64encode(value.encode()).decode()}}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (change("ca.crt", "rubbish"), "ca.crt: it contains no PEM certificate"),
        (change("ca.key", OLD.key_pem), "ca.crt and ca.key: the key belongs to another certificate"),
        (change("tls.crt", NEW_LEAF.certificate.pem[:200]), "tls.crt and tls.key: it contains no PEM certificate"),
        (change("tls.key", ""), "tls.key: missing or not text"),
        (change("tls.key", OLD_LEAF.key_pem), "tls.crt and tls.key: the key belongs to another certificate"),
        ({**SECRET, "data": {**SECRET["data"], "tls.key": "%"}}, "tls.key: missing or not text"),
        (
            {**SECRET, "metadata": {"annotations": {"podrole.io/rotate": "yes"}}},
            "annotation podrole.io/rotate is 'yes': must be one of ca, leaf, drop",
        ),
    ],
)
def test_what_is_wrong_with_the_secret_is_said_by_key(document: dict[str, Any], problem: str) -> None:
    assert [said for said in parse_secret(document).problems if said.startswith(problem)]


@pytest.mark.parametrize("document", [None, {"metadata": {}}, {"metadata": {"annotations": None}, "data": None}])
def test_a_secret_that_was_never_filled_is_no_problem(document: dict[str, Any] | None) -> None:
    assert parse_secret(document) == SecretState()
    assert parse_secret(document).problems == ()


def test_what_others_wrote_into_the_secret_stays() -> None:
    annotations = {"podrole.io/rotate": "ca", "team": "platform"}
    document = {
        "metadata": {"resourceVersion": "7", "annotations": annotations},
        "type": "Opaque",
        "data": {"x": "eA=="},
    }

    result = build_secret(document, ROTATED)

    assert result["metadata"] == {"resourceVersion": "7", "annotations": {"team": "platform"}}
    assert result["data"]["x"] == "eA=="
    assert b64decode(result["data"]["ca.crt"]).decode() == NEW_CA.pem + OLD_CA.pem


def webhook(name: str, bundle: str = "") -> dict[str, Any]:
    encoded = {"caBundle": b64encode(bundle.encode()).decode()} if bundle else {}
    return {"name": name, "clientConfig": {"service": {"name": "podrole-injector"}, **encoded}}


def test_every_webhook_gets_the_bundle_in_a_patch_that_fails_if_somebody_else_wrote() -> None:
    document = {"metadata": {"resourceVersion": "9"}, "webhooks": [webhook("a"), webhook("b", FOREIGN_CA.pem)]}

    patch = build_ca_bundle_patch(document, (NEW_CA, OLD_CA), NOW)

    assert patch["metadata"]["resourceVersion"] == "9"
    assert [entry["name"] for entry in patch["webhooks"]] == ["a", "b"]
    for entry in patch["webhooks"]:
        assert parse_certificates(b64decode(entry["clientConfig"]["caBundle"]).decode()) == (NEW_CA, OLD_CA)
    metadata = {"annotations": patch["metadata"]["annotations"]}
    assert parse_webhook_configuration({"metadata": metadata, "webhooks": patch["webhooks"]}) == shown(NEW_CA, OLD_CA)


@pytest.mark.parametrize("document", [None, {"metadata": {}}, {"metadata": {}, "webhooks": []}])
def test_a_configuration_without_webhooks_shows_nothing(document: dict[str, Any] | None) -> None:
    assert parse_webhook_configuration(document) is None


@pytest.mark.parametrize("annotations", [None, {}, {"podrole.io/ca-bundle-since": "yesterday"}])
def test_a_bundle_without_a_date_is_undated(annotations: dict[str, str] | None) -> None:
    document = {"metadata": {"annotations": annotations}, "webhooks": [webhook("a", OLD_CA.pem)]}

    assert parse_webhook_configuration(document) == CaBundleState(((OLD_CA,),), None)
