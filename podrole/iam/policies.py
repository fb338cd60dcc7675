"""Builds the trust policy of a role for its pods, and merges it into an existing policy.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import contract
from injector.decision.roles import ANY_ARN
from podrole.iam.documents import Policy, PolicyError, read_statements, read_values

PROVIDER = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):oidc-provider/(?P<issuer>.+)", re.ASCII)
ANY_PROVIDER = re.compile(
    r"arn:(?P<partition>[a-z][a-z0-9-]*):iam::(?:(?P<account>(?!\d{1,11}:)[\w.-]{0,64}):)?oidc-provider/(?P<issuer>.+)",
    re.ASCII,
)
"""Of a store outside AWS."""

NAME = re.compile(r"[a-z0-9*]([a-z0-9.*-]*[a-z0-9*])?", re.ASCII)

WEB_IDENTITY_ACTION = "sts:AssumeRoleWithWebIdentity"
ROLE_ACTION = "sts:AssumeRole"
TAG_ACTION = "sts:TagSession"
"""Needed in addition for sessions with tags: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html"""

SUBJECT_PREFIX = "system:serviceaccount:"
WEB_IDENTITY_SID = "Podrole"
CHAINED_ROLE_SID = "PodroleIntermediateRole"


@dataclass(frozen=True, slots=True)
class Provider:
    """A cluster's OIDC provider in IAM. It must be in the role's own account."""

    issuer: str
    """Without https://, as in the provider's ARN."""

    account_id: str
    partition: str = "aws"

    @property
    def arn(self) -> str:
        """What a trust policy names as its Federated principal."""
        return f"arn:{self.partition}:iam::{self.account_id}:oidc-provider/{self.issuer}"


@dataclass(frozen=True, slots=True)
class ChainedRole:
    """A role that pods assume by web identity first, and from which they assume their role (role chaining).

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
    """

    role_arn: str
    external_id: str | None = None
    has_tags: bool = False


@dataclass(frozen=True, slots=True)
class TrustRequirements:
    """The principals that must be able to assume a role."""

    role_arn: str
    subjects: frozenset[str] = frozenset()
    """By web identity: `system:serviceaccount:<namespace>:<name>`, where `*` is a wildcard."""

    chained_roles: frozenset[ChainedRole] = frozenset()
    audiences: Mapping[str, str] = field(default_factory=dict)
    """Of subjects whose tokens have another audience than TOKEN_AUDIENCE."""

    def find_audience(self, subject: str) -> str:
        """Return the audience of a subject's tokens."""
        return self.audiences.get(subject, contract.TOKEN_AUDIENCE)


def build_subject(namespace: str, service_account: str) -> str:
    """Build the subject of a ServiceAccount's tokens; `*` is a wildcard. Raises PolicyError."""
    for kind, name in (("namespace", namespace), ("ServiceAccount", service_account)):
        if not NAME.fullmatch(name):
            raise PolicyError(f"{name!r} is not a valid name of a {kind}: use a-z, 0-9, - and ., or * as a wildcard")
    return f"{SUBJECT_PREFIX}{namespace}:{service_account}"


def parse_issuer(url: str) -> str:
    """Return the issuer's URL without the scheme, as IAM names it; a slash at the end is significant."""
    issuer = re.sub(r"^https?://", "", url.strip())
    if not re.fullmatch(r"[!-~]+", issuer) or issuer.startswith("/") or "?" in issuer:
        raise PolicyError(f"{url!r} is not a valid issuer: use the iss claim of your tokens, https://host/path")
    return issuer


def find_provider(role_arn: str, issuer: str) -> Provider:
    """Return the provider that a role must trust: that of the issuer in the role's own account."""
    arn = ANY_ARN.fullmatch(role_arn)
    if arn is None:
        raise PolicyError(f"{role_arn!r} is not a valid ARN of a role, such as arn:aws:iam::111122223333:role/name")
    return Provider(issuer, arn["account"] or "", arn["partition"])


def parse_provider(arn: str, *, is_outside_aws: bool = False) -> Provider | None:
    """Parse a provider's ARN; None for another ARN."""
    match = (ANY_PROVIDER if is_outside_aws else PROVIDER).fullmatch(arn)
    return Provider(match["issuer"], match["account"] or "", match["partition"]) if match else None


def build_trust_policy(requirements: TrustRequirements, issuer: str) -> Policy:
    """Build a policy that allows only these principals."""
    return {"Version": "2012-10-17", "Statement": _number(build_statements(requirements, issuer))}


def build_statements(requirements: TrustRequirements, issuer: str) -> list[Policy]:
    """Build one statement for all web identities with the same audience, and one for each chained role."""
    by_audience: Mapping[str, set[str]] = defaultdict(set)
    for subject in requirements.subjects:
        by_audience[requirements.find_audience(subject)].add(subject)
    statements = [
        _build_web_identity(find_provider(requirements.role_arn, issuer), audience, subjects)
        for audience, subjects in sorted(by_audience.items())
    ]
    order = sorted(
        requirements.chained_roles,
        key=lambda chained_role: (chained_role.role_arn, chained_role.external_id or "", chained_role.has_tags),
    )
    return [*statements, *(_build_chained_role(chained_role) for chained_role in order)]


def merge(policy: Policy, statements: Iterable[Policy]) -> Policy:
    """Add these statements to a policy and keep all others. Existing statements are not added again."""
    merged = read_statements(policy)
    for statement in statements:
        extended = [_extend(other, statement) for other in merged]
        if any(_normalize(statement) == _normalize(other) for other in merged):
            continue
        if any(extended):
            merged = [new or old for new, old in zip(extended, merged, strict=True)]
        else:
            merged.append(statement)
    return {"Version": "2012-10-17", **policy, "Statement": _number(merged)}


def _build_web_identity(provider: Provider, audience: str, subjects: Iterable[str]) -> Policy:
    for_audience: Policy = {f"{provider.issuer}:aud": audience}
    ordered = sorted(subjects)
    subject: Policy = {f"{provider.issuer}:sub": ordered[0] if len(ordered) == 1 else ordered}
    has_wildcard = any("*" in one for one in ordered)
    condition = (
        {"StringEquals": for_audience, "StringLike": subject}
        if has_wildcard
        else {"StringEquals": for_audience | subject}
    )
    return {
        "Sid": WEB_IDENTITY_SID,
        "Effect": "Allow",
        "Principal": {"Federated": provider.arn},
        "Action": WEB_IDENTITY_ACTION,
        "Condition": condition,
    }


def _build_chained_role(chained_role: ChainedRole) -> Policy:
    statement: Policy = {
        "Sid": CHAINED_ROLE_SID,
        "Effect": "Allow",
        "Principal": {"AWS": chained_role.role_arn},
        "Action": [ROLE_ACTION, TAG_ACTION] if chained_role.has_tags else ROLE_ACTION,
    }
    if chained_role.external_id is not None:
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": chained_role.external_id}}
    return statement


def _extend(other: Policy, statement: Policy) -> Policy | None:
    """Return one statement for the subjects of both, if `other` was built here for the same provider and audience."""
    provider = parse_provider(str(statement["Principal"].get("Federated")), is_outside_aws=True)
    if provider is None or not str(other.get("Sid")).startswith(WEB_IDENTITY_SID):
        return None
    subjects = _read_claim("sub", other, provider)
    [audience] = _read_claim("aud", statement, provider)
    if not subjects or _normalize(other) != _normalize(_build_web_identity(provider, audience, subjects)):
        return None  # another tool's, or edited by hand: it is kept unchanged
    both = subjects | _read_claim("sub", statement, provider)
    return {**_build_web_identity(provider, audience, both), "Sid": other["Sid"]}


def _read_claim(claim: str, statement: Policy, provider: Provider) -> frozenset[str]:
    condition = statement.get("Condition")
    operators = condition.values() if isinstance(condition, dict) else ()
    keys = [keys for keys in operators if isinstance(keys, dict)]
    return frozenset(value for one in keys for value in read_values(one.get(f"{provider.issuer}:{claim}")))


def _normalize(value: Any) -> Any:
    """Return a form that is equal for equivalent statements: without Sid, with sorted lists."""
    if isinstance(value, list):
        return _normalize(value[0]) if len(value) == 1 else sorted(value, key=str)
    if isinstance(value, dict):
        return {key: _normalize(element) for key, element in value.items() if key != "Sid"}
    return value


def _number(statements: Iterable[Policy]) -> list[Policy]:
    """Make podrole's Sids unique, as IAM requires within a policy."""
    numbered: list[Policy] = []
    taken: set[str] = set()
    for statement in statements:
        sid = str(statement.get("Sid", ""))
        names = (f"{sid}{number}" for number in count(2))
        free = (
            sid
            if sid not in taken or not sid.startswith(WEB_IDENTITY_SID)
            else next(n for n in names if n not in taken)
        )
        taken.add(free)
        numbered.append({**statement, "Sid": free} if free else statement)
    return numbered
