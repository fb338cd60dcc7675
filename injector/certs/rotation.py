"""Which step comes next, and which leaf is served until then: one pure function for each. The time is passed in.

No leader: each replica decides by itself, and each step is one write that fails if somebody else wrote first.
Two rules make every order of their steps safe: an authority is shown before anything that it signed is served, and is
no longer shown only when nothing that it signed is served.
"""

from dataclasses import replace

from injector.certs.ca_store import SecretState
from injector.certs.state import ObservedState, PatchCaBundle, RotationPolicy, ServingCert, UpdateSecret
from injector.certs.x509 import Certificate, KeyPair, issue_ca, issue_serving_cert

MAX_CAS = 30
"""In a bundle, which has two after a rotation: what goes wrong again and again must not outgrow the objects."""


def next_step(state: ObservedState, policy: RotationPolicy) -> UpdateSecret | PatchCaBundle | None:
    """The first of these that there is a reason for: each brings back what the later ones count on."""
    rules = (_replace_ca, _replace_lost_serving_cert, _publish, _renew_serving_cert, _drop_old_cas)
    return next((step for rule in rules if (step := rule(state, policy))), None)


def choose_serving_cert(state: ObservedState, policy: RotationPolicy) -> ServingCert | None:
    """The leaf to serve from now on: that of the Secret as soon as API servers accept it, the present one until then.

    Where the present one is of no use any more, that of the Secret is served at once.
    """
    secret, ca_bundle, served, now = state.secret, state.ca_bundle, state.served, state.now
    issuer = secret.find_issuer(secret.pair)
    offered = ServingCert(secret.pair, issuer) if secret.pair and issuer else None
    if offered is None or not offered.is_valid(now):
        return served
    if served is None or not served.is_valid(now) or offered.issuer == served.issuer:
        return offered
    if ca_bundle is None:
        return served
    is_only_one_trusted = ca_bundle.trusts(offered.issuer) and not ca_bundle.trusts(served.issuer)
    is_settled = _is_settled(state, offered.issuer, policy.lifetimes.propagation_seconds)
    return offered if is_only_one_trusted or is_settled else served


def _replace_ca(state: ObservedState, policy: RotationPolicy) -> UpdateSecret | None:
    secret, now = state.secret, state.now
    traces = _find_traces(state) - set(secret.cas)
    if not (why := _why_replace_ca(state, traces)):
        return None
    ca = issue_ca(now, policy.lifetimes)
    known = {*secret.cas, *(traces if secret.ca is None or _is_outdated(state, traces) else ())}
    request = "" if secret.request == "ca" else secret.request
    kept = _choose_cas(known, state)
    renewed = replace(secret, cas=(ca.certificate, *kept), ca=ca, request=request)
    pair = _find_usable(renewed, state, policy) or issue_serving_cert(ca, policy.names, now, policy.lifetimes)
    return UpdateSecret(replace(renewed, pair=pair), f"a new authority, because {why}")


def _choose_cas(known: set[Certificate], state: ObservedState) -> list[Certificate]:
    """Newest first; of very many, as where something empties the Secret each minute, the last and those in use."""
    served = state.served.pair if state.served else None
    alive = sorted((ca for ca in known if state.now < ca.not_after), key=lambda ca: ca.issued, reverse=True)
    used = [pair.certificate for pair in (state.secret.pair, served) if pair]
    return [
        ca
        for rank, ca in enumerate(alive, start=1)
        if rank < MAX_CAS or any(certificate.is_signed_by(ca) for certificate in used)
    ]


def _why_replace_ca(state: ObservedState, traces: set[Certificate]) -> str:
    secret, now = state.secret, state.now
    if secret.ca is None:
        return "the Secret holds none that could sign"
    certificate = secret.ca.certificate
    if not certificate.is_valid(now):
        return "the present one is not valid now"
    if certificate.is_due(now):
        return "two thirds of the present one's life have passed"
    if _is_outdated(state, traces):
        return "the Secret does not know one that is in use"
    return "the annotation asks for it" if secret.request == "ca" else ""


def _is_outdated(state: ObservedState, traces: set[Certificate]) -> bool:
    """Whether the Secret was replaced as a whole, as by a backup: it lacks what we serve, or what came after its own.

    An older one that is still shown proves nothing: the Secret's was dropped, and the configuration is next.
    """
    secret, served = state.secret, state.served
    if len(secret.cas) >= MAX_CAS:  # two installations that share a configuration would go on for ever
        return False
    lacks_ours = served is not None and served.is_valid(state.now) and served.issuer in traces
    return lacks_ours or any(ca.issued > secret.cas[0].issued for ca in traces)


def _find_traces(state: ObservedState) -> set[Certificate]:
    """The authorities that are seen elsewhere: of what is served here, and of what was shown for any replica's leaf.

    Only those of our name: a foreign bundle is replaced and not carried on.
    """
    bundles = state.ca_bundle.bundles if state.ca_bundle else ()
    shown = {ca for bundle in bundles for ca in bundle if ca.is_self_managed}
    return shown | ({state.served.issuer} if state.served else set())


def _find_usable(secret: SecretState, state: ObservedState, policy: RotationPolicy) -> KeyPair | None:
    """A leaf with its names, valid and covered by this bundle: the Secret's, or ours where only that one is accepted.

    Replicas that start serve it at once.
    """
    ca_bundle, usable = state.ca_bundle, []
    for pair in (state.secret.pair, state.served.pair if state.served else None):
        issuer = secret.find_issuer(pair)
        if pair and issuer and ServingCert(pair, issuer).is_valid(state.now) and policy.names <= pair.certificate.names:
            usable.append((ca_bundle is not None and ca_bundle.trusts(issuer), pair))
    return max(usable, key=lambda found: found[0], default=(False, None))[1]


def _replace_lost_serving_cert(state: ObservedState, policy: RotationPolicy) -> UpdateSecret | None:
    secret = state.secret
    found = _find_usable(secret, state, policy)
    if found is not None and found is secret.pair:
        return None
    if found is not None:
        return UpdateSecret(replace(secret, pair=found), "the leaf that is served, instead of the present one")
    # Two replicas with different settings, as during an update, agree on the names of both.
    names = policy.names | (secret.pair.certificate.names if secret.pair else frozenset())
    return _issue(state, policy, names, "the present one is lost, not valid now, or lacks a name")


def _publish(state: ObservedState, policy: RotationPolicy) -> PatchCaBundle | None:
    ca_bundle, cas = state.ca_bundle, state.secret.cas
    if ca_bundle is None:
        return None
    latest = state.now + policy.lifetimes.propagation_seconds  # a later one was written by a clock that was wrong
    is_dated = ca_bundle.since is not None and ca_bundle.since <= latest
    return None if is_dated and ca_bundle.contains_exactly(cas) else PatchCaBundle(cas)


def _renew_serving_cert(state: ObservedState, policy: RotationPolicy) -> UpdateSecret | None:
    secret = state.secret
    if secret.pair is None or not (why := _why_renew_serving_cert(secret, secret.pair, state.now)):
        return None
    signer = secret.cas[0]
    is_cached = secret.find_issuer(secret.pair) == signer
    if not is_cached and not _is_settled(state, signer, policy.lifetimes.propagation_seconds):
        return None
    return _issue(state, policy, policy.names, why)


def _why_renew_serving_cert(secret: SecretState, pair: KeyPair, now: float) -> str:
    if pair.certificate.is_due(now):
        return "two thirds of the present one's life have passed"
    if secret.find_issuer(pair) != secret.cas[0]:
        return "API servers know the new authority now"
    return "the annotation asks for it" if secret.request == "leaf" else ""


def _issue(state: ObservedState, policy: RotationPolicy, names: frozenset[str], why: str) -> UpdateSecret | None:
    secret = state.secret
    if secret.ca is None:
        return None
    pair = issue_serving_cert(secret.ca, names, state.now, policy.lifetimes)
    request = "" if secret.request == "leaf" else secret.request
    return UpdateSecret(replace(secret, pair=pair, request=request), f"a new leaf, because {why}")


def _drop_old_cas(state: ObservedState, policy: RotationPolicy) -> UpdateSecret | None:
    secret, now = state.secret, state.now
    is_asked = secret.request == "drop" and _is_replaced_everywhere(state, policy)
    first, *others = secret.cas
    # The keys of the others were thrown away when the first one came, if not before. Their own order proves nothing:
    # after a loss they may be of more than one line.
    last_leaf_ends = first.issued + policy.lifetimes.serving_cert_seconds
    kept = (first, *(ca for ca in others if not is_asked and now < min(ca.not_after, last_leaf_ends)))
    if kept == secret.cas and not is_asked:
        return None
    request = "" if is_asked else secret.request
    return UpdateSecret(
        replace(secret, cas=kept, request=request),
        "a bundle without the authorities that nothing in use was issued by",
    )


def _is_replaced_everywhere(state: ObservedState, policy: RotationPolicy) -> bool:
    """Whether every replica that reads the Secret serves a leaf of the first authority: twice the time is certain."""
    secret, seconds = state.secret, 2 * policy.lifetimes.propagation_seconds
    if secret.pair is None or secret.find_issuer(secret.pair) != secret.cas[0]:
        return False
    is_old_enough = secret.pair.certificate.issued + seconds <= state.now
    return is_old_enough and _is_settled(state, secret.cas[0], seconds)


def _is_settled(state: ObservedState, ca: Certificate, seconds: float) -> bool:
    """Whether the configuration has shown this authority for so long, as it stands now."""
    ca_bundle = state.ca_bundle
    if ca_bundle is None or ca_bundle.since is None or not ca_bundle.trusts(ca):
        return False
    return state.now - ca_bundle.since >= seconds
