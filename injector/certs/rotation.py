"""Pure functions that choose the next step of a rotation and the certificate to serve until then.

There is no leader: each replica decides on its own, and each step is a write that fails if another client wrote first.
Two rules make every order of their steps safe: a CA is published before any certificate it signed is served,
and removed only after the last one is out of use.
"""

from dataclasses import replace

from injector.certs.ca_store import SecretState
from injector.certs.cluster_clock import MAX_SKEW_SECONDS
from injector.certs.state import ObservedState, PatchCaBundle, RotationPolicy, ServingCert, UpdateSecret
from injector.certs.x509 import Certificate, KeyPair, issue_ca, issue_serving_cert

MAX_CAS = 30
"""In a bundle, which has two after a rotation. Limits the size of both objects if rotations repeat without end."""


def next_step(state: ObservedState, policy: RotationPolicy) -> UpdateSecret | PatchCaBundle | None:
    """The first step that is due, or None. The order matters: each rule restores what the later ones rely on."""
    rules = (_replace_ca, _replace_lost_serving_cert, _publish_cas, _renew_serving_cert, _remove_old_cas)
    return next((step for rule in rules if (step := rule(state, policy))), None)


def choose_serving_cert(state: ObservedState, policy: RotationPolicy) -> ServingCert | None:
    """The certificate to serve: that of the Secret once API servers accept it, the current one until then.

    If the current one is no longer usable, that of the Secret is served at once.
    """
    secret, ca_bundle, current, now = state.secret, state.ca_bundle, state.serving_cert, state.now
    issuer = secret.find_issuer(secret.pair)
    offered = ServingCert(secret.pair, issuer) if secret.pair and issuer else None
    if offered is None or not offered.is_valid(now):
        return current
    if current is None or not current.is_valid(now) or offered.issuer == current.issuer:
        return offered
    if ca_bundle is None:
        return current
    is_only_trusted_one = ca_bundle.trusts(offered.issuer) and not ca_bundle.trusts(current.issuer)
    is_propagated = _is_published_for(state, offered.issuer, policy.lifetimes.propagation_seconds)
    return offered if is_only_trusted_one or is_propagated else current


def _replace_ca(state: ObservedState, policy: RotationPolicy) -> UpdateSecret | None:
    secret, now = state.secret, state.now
    unknown = _find_cas_in_use(state) - set(secret.cas)
    if not (why := _why_replace_ca(state, unknown)):
        return None
    ca = issue_ca(now, policy.lifetimes)
    known = {*secret.cas, *(unknown if secret.ca is None or _is_outdated(state, unknown) else ())}
    request = "" if secret.request == "ca" else secret.request
    kept = _limit_cas(known, state)
    renewed = replace(secret, cas=(ca.certificate, *kept), ca=ca, request=request)
    pair = _find_usable_pair(renewed, state, policy) or issue_serving_cert(ca, policy.names, now, policy.lifetimes)
    return UpdateSecret(replace(renewed, pair=pair), f"new CA: {why}", has_new_ca=True)


def _limit_cas(known: set[Certificate], state: ObservedState) -> list[Certificate]:
    """Valid CAs, newest first: the newest ones up to the limit, and those of certificates in use."""
    current = state.serving_cert.pair if state.serving_cert else None
    valid = sorted((ca for ca in known if state.now < ca.not_after), key=lambda ca: ca.issued, reverse=True)
    used = [pair.certificate for pair in (state.secret.pair, current) if pair]
    return [
        ca
        for rank, ca in enumerate(valid, start=1)
        if rank < MAX_CAS or any(certificate.is_signed_by(ca) for certificate in used)
    ]


def _why_replace_ca(state: ObservedState, unknown: set[Certificate]) -> str:
    secret, now = state.secret, state.now
    if secret.ca is None:
        return "the Secret has no usable CA key"
    certificate = secret.ca.certificate
    if _is_lost(certificate, state):
        return "the current CA has expired, or a wrong clock has issued it"
    if certificate.needs_renewal(now):
        return "two thirds of the lifetime of the current CA have passed"
    if _is_outdated(state, unknown):
        return "the Secret lacks a CA that is in use"
    return "requested by annotation" if secret.request == "ca" else ""


def _is_lost(certificate: Certificate, state: ObservedState) -> bool:
    """Whether API servers no longer accept it, or not for a long time.

    One that is not valid yet shows that a clock is wrong. As long as that can be ours, others may need the certificate.
    """
    if state.now >= certificate.not_after:
        return True
    return state.is_server_time and certificate.not_before > state.now + MAX_SKEW_SECONDS


def _is_outdated(state: ObservedState, unknown: set[Certificate]) -> bool:
    """Whether the whole Secret was replaced, as by a backup: it lacks the CA that we use, or a newer one than its own.

    An older CA in the caBundle proves nothing: it was removed from the Secret, and the configuration is next.
    """
    secret, current = state.secret, state.serving_cert
    if len(secret.cas) >= MAX_CAS:  # else two installations with the same configuration would never stop
        return False
    lacks_ours = current is not None and current.is_valid(state.now) and current.issuer in unknown
    return lacks_ours or any(ca.issued > secret.cas[0].issued for ca in unknown)


def _find_cas_in_use(state: ObservedState) -> set[Certificate]:
    """The CA of our serving certificate, and those in the caBundle, which other replicas can depend on.

    Without CAs that podrole did not issue: they are removed from the caBundle.
    """
    bundles = state.ca_bundle.bundles if state.ca_bundle else ()
    published = {ca for bundle in bundles for ca in bundle if ca.is_self_managed}
    return published | ({state.serving_cert.issuer} if state.serving_cert else set())


def _find_usable_pair(secret: SecretState, state: ObservedState, policy: RotationPolicy) -> KeyPair | None:
    """A serving certificate that has not expired, with all names and a CA of this Secret: the Secret's or our own.

    Replicas that start serve it at once, so one that API servers accept now is preferred.
    """
    ca_bundle, usable = state.ca_bundle, []
    for pair in (state.secret.pair, state.serving_cert.pair if state.serving_cert else None):
        issuer = secret.find_issuer(pair)
        if not pair or not issuer or _is_lost(pair.certificate, state) or _is_lost(issuer, state):
            continue
        if policy.names <= pair.certificate.names:
            usable.append((ca_bundle is not None and ca_bundle.trusts(issuer), pair))
    return max(usable, key=lambda found: found[0], default=(False, None))[1]


def _replace_lost_serving_cert(state: ObservedState, policy: RotationPolicy) -> UpdateSecret | None:
    secret = state.secret
    found = _find_usable_pair(secret, state, policy)
    if found is not None and found is secret.pair:
        return None
    if found is not None:
        return UpdateSecret(replace(secret, pair=found), "the stored serving certificate replaced by the one in use")
    # Two replicas with different settings, as during an update, agree on the names of both.
    names = policy.names | (secret.pair.certificate.names if secret.pair else frozenset())
    return _issue(state, policy, names, "the current one is missing, has expired, or lacks a name")


def _publish_cas(state: ObservedState, policy: RotationPolicy) -> PatchCaBundle | None:
    ca_bundle, cas = state.ca_bundle, state.secret.cas
    if ca_bundle is None:
        return None
    latest = state.now + policy.lifetimes.propagation_seconds  # a later time comes from a wrong clock
    is_dated = ca_bundle.since is not None and ca_bundle.since <= latest
    return None if is_dated and ca_bundle.contains_exactly(cas) else PatchCaBundle(cas)


def _renew_serving_cert(state: ObservedState, policy: RotationPolicy) -> UpdateSecret | None:
    secret = state.secret
    if secret.pair is None or not (why := _why_renew_serving_cert(secret, secret.pair, state.now)):
        return None
    signer = secret.cas[0]
    is_same_ca = secret.find_issuer(secret.pair) == signer
    if not is_same_ca and not _is_published_for(state, signer, policy.lifetimes.propagation_seconds):
        return None
    return _issue(state, policy, policy.names, why)


def _why_renew_serving_cert(secret: SecretState, pair: KeyPair, now: float) -> str:
    if pair.certificate.needs_renewal(now):
        return "two thirds of the lifetime of the current one have passed"
    if secret.find_issuer(pair) != secret.cas[0]:
        return "API servers know the new CA now"
    return "requested by annotation" if secret.request == "leaf" else ""


def _issue(state: ObservedState, policy: RotationPolicy, names: frozenset[str], why: str) -> UpdateSecret | None:
    secret = state.secret
    if secret.ca is None:
        return None
    pair = issue_serving_cert(secret.ca, names, state.now, policy.lifetimes)
    request = "" if secret.request == "leaf" else secret.request
    return UpdateSecret(replace(secret, pair=pair, request=request), f"new serving certificate: {why}")


def _remove_old_cas(state: ObservedState, policy: RotationPolicy) -> UpdateSecret | None:
    secret, now = state.secret, state.now
    is_requested = secret.request == "drop" and _is_rolled_out(state, policy)
    first, *others = secret.cas
    # The keys of the others were deleted when the first one was issued, if not before. Their own order proves nothing:
    # after a loss of the Secret they can come from different histories.
    last_expiry = first.issued + policy.lifetimes.serving_cert_seconds
    kept = (first, *(ca for ca in others if not is_requested and now < min(ca.not_after, last_expiry)))
    if kept == secret.cas and not is_requested:
        return None
    request = "" if is_requested else secret.request
    return UpdateSecret(replace(secret, cas=kept, request=request), "removed CAs whose certificates are out of use")


def _is_rolled_out(state: ObservedState, policy: RotationPolicy) -> bool:
    """Whether every replica that can read the Secret serves a certificate of the first CA.

    Twice the propagation time is enough for the slowest replica.
    """
    secret, seconds = state.secret, 2 * policy.lifetimes.propagation_seconds
    if secret.pair is None or secret.find_issuer(secret.pair) != secret.cas[0]:
        return False
    is_old_enough = secret.pair.certificate.issued + seconds <= state.now
    return is_old_enough and _is_published_for(state, secret.cas[0], seconds)


def _is_published_for(state: ObservedState, ca: Certificate, seconds: float) -> bool:
    """Whether the present caBundle contains this CA and has been unchanged for so long."""
    ca_bundle = state.ca_bundle
    if ca_bundle is None or ca_bundle.since is None or not ca_bundle.trusts(ca):
        return False
    return state.now - ca_bundle.since >= seconds
