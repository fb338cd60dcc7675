"""Which step comes next, and which leaf is served until then: one pure function for each. The time is passed in.

No leader: each replica decides by itself, and each step is one write that fails if somebody else wrote first.
Two rules make every order of their steps safe: an authority is shown before anything that it signed is served, and is
no longer shown only when nothing that it signed is served.
"""

from dataclasses import replace

from injector.certs.ca_store import Held
from injector.certs.state import Policy, Publish, Served, Situation, Write
from injector.certs.x509 import Certificate, Pair, issue_authority, issue_leaf

MOST_AUTHORITIES = 30
"""In a bundle, which has two after a rotation: what goes wrong again and again must not outgrow the objects."""


def next_step(situation: Situation, policy: Policy) -> Write | Publish | None:
    """The first of these that there is a reason for: each brings back what the later ones count on."""
    rules = (_replace_authority, _replace_lost_leaf, _publish, _renew_leaf, _drop_authorities)
    return next((step for rule in rules if (step := rule(situation, policy))), None)


def choose_leaf(situation: Situation, policy: Policy) -> Served | None:
    """The leaf to serve from now on: that of the Secret as soon as API servers accept it, the present one until then.

    Where the present one is of no use any more, that of the Secret is served at once.
    """
    held, published, served, now = situation.held, situation.published, situation.served, situation.now
    issuer = held.find_issuer(held.pair)
    offered = Served(held.pair, issuer) if held.pair and issuer else None
    if offered is None or not offered.is_valid(now):
        return served
    if served is None or not served.is_valid(now) or offered.issuer == served.issuer:
        return offered
    if published is None:
        return served
    is_only_one_trusted = published.trusts(offered.issuer) and not published.trusts(served.issuer)
    is_settled = _is_settled(situation, offered.issuer, policy.lifetimes.settle_seconds)
    return offered if is_only_one_trusted or is_settled else served


def _replace_authority(situation: Situation, policy: Policy) -> Write | None:
    held, now = situation.held, situation.now
    traces = _find_traces(situation) - set(held.authorities)
    if not (why := _why_replace_authority(situation, traces)):
        return None
    authority = issue_authority(now, policy.lifetimes)
    known = {*held.authorities, *(traces if held.authority is None or _is_outdated(situation, traces) else ())}
    request = "" if held.request == "ca" else held.request
    kept = _choose_authorities(known, situation)
    renewed = replace(held, authorities=(authority.certificate, *kept), authority=authority, request=request)
    pair = _find_usable(renewed, situation, policy) or issue_leaf(authority, policy.names, now, policy.lifetimes)
    return Write(replace(renewed, pair=pair), f"a new authority, because {why}")


def _choose_authorities(known: set[Certificate], situation: Situation) -> list[Certificate]:
    """Newest first; of very many, as where something empties the Secret each minute, the last and those in use."""
    served = situation.served.pair if situation.served else None
    alive = sorted((ca for ca in known if situation.now < ca.not_after), key=lambda ca: ca.issued, reverse=True)
    used = [pair.certificate for pair in (situation.held.pair, served) if pair]
    return [
        ca
        for rank, ca in enumerate(alive, start=1)
        if rank < MOST_AUTHORITIES or any(certificate.is_signed_by(ca) for certificate in used)
    ]


def _why_replace_authority(situation: Situation, traces: set[Certificate]) -> str:
    held, now = situation.held, situation.now
    if held.authority is None:
        return "the Secret holds none that could sign"
    certificate = held.authority.certificate
    if not certificate.is_valid(now):
        return "the present one is not valid now"
    if certificate.is_due(now):
        return "two thirds of the present one's life have passed"
    if _is_outdated(situation, traces):
        return "the Secret does not know one that is in use"
    return "the annotation asks for it" if held.request == "ca" else ""


def _is_outdated(situation: Situation, traces: set[Certificate]) -> bool:
    """Whether the Secret was replaced as a whole, as by a backup: it lacks what we serve, or what came after its own.

    An older one that is still shown proves nothing: the Secret's was dropped, and the configuration is next.
    """
    held, served = situation.held, situation.served
    if len(held.authorities) >= MOST_AUTHORITIES:  # two installations that share a configuration would go on for ever
        return False
    lacks_ours = served is not None and served.is_valid(situation.now) and served.issuer in traces
    return lacks_ours or any(ca.issued > held.authorities[0].issued for ca in traces)


def _find_traces(situation: Situation) -> set[Certificate]:
    """The authorities that are seen elsewhere: of what is served here, and of what was shown for any replica's leaf.

    Only those of our name: a foreign bundle is replaced and not carried on.
    """
    bundles = situation.published.bundles if situation.published else ()
    shown = {ca for bundle in bundles for ca in bundle if ca.is_ours}
    return shown | ({situation.served.issuer} if situation.served else set())


def _find_usable(held: Held, situation: Situation, policy: Policy) -> Pair | None:
    """A leaf with its names, valid and covered by this bundle: the Secret's, or ours where only that one is accepted.

    Replicas that start serve it at once.
    """
    published, usable = situation.published, []
    for pair in (situation.held.pair, situation.served.pair if situation.served else None):
        issuer = held.find_issuer(pair)
        if pair and issuer and Served(pair, issuer).is_valid(situation.now) and policy.names <= pair.certificate.names:
            usable.append((published is not None and published.trusts(issuer), pair))
    return max(usable, key=lambda found: found[0], default=(False, None))[1]


def _replace_lost_leaf(situation: Situation, policy: Policy) -> Write | None:
    held = situation.held
    found = _find_usable(held, situation, policy)
    if found is not None and found is held.pair:
        return None
    if found is not None:
        return Write(replace(held, pair=found), "the leaf that is served, instead of the present one")
    # Two replicas with different settings, as during an update, agree on the names of both.
    names = policy.names | (held.pair.certificate.names if held.pair else frozenset())
    return _issue(situation, policy, names, "the present one is lost, not valid now, or lacks a name")


def _publish(situation: Situation, policy: Policy) -> Publish | None:
    published, authorities = situation.published, situation.held.authorities
    if published is None:
        return None
    latest = situation.now + policy.lifetimes.settle_seconds  # a later one was written by a clock that was wrong
    is_dated = published.since is not None and published.since <= latest
    return None if is_dated and published.shows(authorities) else Publish(authorities)


def _renew_leaf(situation: Situation, policy: Policy) -> Write | None:
    held = situation.held
    if held.pair is None or not (why := _why_renew_leaf(held, held.pair, situation.now)):
        return None
    signer = held.authorities[0]
    is_known = held.find_issuer(held.pair) == signer
    if not is_known and not _is_settled(situation, signer, policy.lifetimes.settle_seconds):
        return None
    return _issue(situation, policy, policy.names, why)


def _why_renew_leaf(held: Held, pair: Pair, now: float) -> str:
    if pair.certificate.is_due(now):
        return "two thirds of the present one's life have passed"
    if held.find_issuer(pair) != held.authorities[0]:
        return "API servers know the new authority now"
    return "the annotation asks for it" if held.request == "leaf" else ""


def _issue(situation: Situation, policy: Policy, names: frozenset[str], why: str) -> Write | None:
    held = situation.held
    if held.authority is None:
        return None
    pair = issue_leaf(held.authority, names, situation.now, policy.lifetimes)
    request = "" if held.request == "leaf" else held.request
    return Write(replace(held, pair=pair, request=request), f"a new leaf, because {why}")


def _drop_authorities(situation: Situation, policy: Policy) -> Write | None:
    held, now = situation.held, situation.now
    is_asked = held.request == "drop" and _is_replaced_everywhere(situation, policy)
    first, *others = held.authorities
    # The keys of the others were thrown away when the first one came, if not before. Their own order proves nothing:
    # after a loss they may be of more than one line.
    last_leaf_ends = first.issued + policy.lifetimes.leaf_seconds
    kept = (first, *(ca for ca in others if not is_asked and now < min(ca.not_after, last_leaf_ends)))
    if kept == held.authorities and not is_asked:
        return None
    request = "" if is_asked else held.request
    return Write(
        replace(held, authorities=kept, request=request),
        "a bundle without the authorities that nothing in use was issued by",
    )


def _is_replaced_everywhere(situation: Situation, policy: Policy) -> bool:
    """Whether every replica that reads the Secret serves a leaf of the first authority: twice the time is certain."""
    held, seconds = situation.held, 2 * policy.lifetimes.settle_seconds
    if held.pair is None or held.find_issuer(held.pair) != held.authorities[0]:
        return False
    is_old_enough = held.pair.certificate.issued + seconds <= situation.now
    return is_old_enough and _is_settled(situation, held.authorities[0], seconds)


def _is_settled(situation: Situation, authority: Certificate, seconds: float) -> bool:
    """Whether the configuration has shown this authority for so long, as it stands now."""
    published = situation.published
    if published is None or published.since is None or not published.trusts(authority):
        return False
    return situation.now - published.since >= seconds
