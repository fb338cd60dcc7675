"""A parsed statement of a trust policy, and what a policy is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import contract
from injector.decision.roles import ANY_ARN
from podrole.iam.conditions import Condition, read_conditions
from podrole.iam.documents import Policy, PolicyError, read_values
from podrole.iam.policies import WEB_IDENTITY_ACTION, Provider, parse_provider

ANY_ACTION = {"*", "sts:*", "sts:assumerole*"}


@dataclass(frozen=True, slots=True)
class ExpectedTrust:
    """What a policy is compared with; a None is not compared."""

    issuer: str | None = None
    """Without https://."""

    role_arn: str | None = None
    subjects: tuple[str, ...] = ()
    audiences: Mapping[str, str] = field(default_factory=dict)
    """Of each subject's tokens, where it is not `audience`."""

    audience: str = contract.TOKEN_AUDIENCE
    is_outside_aws: bool = False

    @property
    def all_audiences(self) -> tuple[str, ...]:
        """Of the subjects; without subjects the default one."""
        return tuple(sorted({self.find_audience(subject) for subject in self.subjects})) or (self.audience,)

    def find_audience(self, subject: str) -> str:
        """Return the audience of a subject's tokens."""
        return self.audiences.get(subject, self.audience)

    def matches(self, provider: Provider) -> bool:
        """Return whether this is the cluster's provider in the role's account, as far as both are set."""
        role = ANY_ARN.fullmatch(self.role_arn or "")
        is_same_account = role is None or (role["account"] or "", role["partition"]) == (
            provider.account_id,
            provider.partition,
        )
        return is_same_account and self.issuer in {None, provider.issuer}


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement."""

    where: str
    """Its position and Sid, for messages."""

    content: Policy
    principals: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Values by kind (AWS, Federated, Service). `*` is the kind of `"Principal": "*"`."""

    conditions: tuple[Condition, ...] = ()
    is_outside_aws: bool = False

    @property
    def is_allow(self) -> bool:
        """Whether its Effect is Allow."""
        return self.content.get("Effect") == "Allow"

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions that it allows or denies."""
        return tuple(read_values(self.content.get("Action")))

    @property
    def providers(self) -> tuple[Provider, ...]:
        """The OIDC providers among its principals."""
        arns = self.principals.get("Federated", ())
        found = [parse_provider(arn, is_outside_aws=self.is_outside_aws) for arn in arns]
        return tuple(provider for provider in found if provider)

    @property
    def has_web_identity_action(self) -> bool:
        """Whether it covers AssumeRoleWithWebIdentity. Actions are case-insensitive."""
        actions = {action.lower() for action in self.actions}
        return WEB_IDENTITY_ACTION.lower() in actions or bool(actions & ANY_ACTION)

    def find_conditions(self, key: str) -> list[Condition]:
        """Find the conditions on a key, which is case-insensitive."""
        return [condition for condition in self.conditions if condition.key.lower() == key.lower()]

    def allows(self, claims: Mapping[str, str], provider: Provider) -> bool:
        """Return whether it allows a token of this provider, as far as its conditions can be evaluated."""
        return (
            self.is_allow
            and self.has_web_identity_action
            and self.matches(claims, provider)
            and not self.find_conditions("sts:ExternalId")
        )

    def matches(self, claims: Mapping[str, str], provider: Provider) -> bool:
        """Return whether its conditions on these claims (`aud`, `sub`) match a token of this provider."""
        conditions = [(one, find_claim(one.key)) for one in self.conditions]
        return all(
            claim[0].lower() == provider.issuer.lower() and condition.matches(claims[claim[1]])
            for condition, claim in conditions
            if claim and claim[1] in claims and not condition.is_weak
        )


def find_claim(key: str) -> tuple[str, str] | None:
    """Return issuer and claim of a condition key such as `host/path:sub`; None for another key."""
    issuer, _, claim = key.rpartition(":")
    return (issuer, claim.lower()) if issuer and ("." in issuer or "/" in issuer or ":" in issuer) else None


def read_statement(number: int, content: Policy, *, is_outside_aws: bool = False) -> Statement:
    """Read one statement. Raises PolicyError."""
    sid = content.get("Sid")
    where = f"Statement {number}{f' ({sid})' if sid else ''}"
    if content.get("Effect") not in {"Allow", "Deny"}:
        raise PolicyError(f'{where} has the Effect {content.get("Effect")!r}: it must be "Allow" or "Deny"')
    principal = content.get("Principal", {})
    if not isinstance(principal, dict):
        principal = {"*": principal}
    principals = {str(kind): tuple(read_values(who)) for kind, who in principal.items()}
    return Statement(where, content, principals, tuple(read_conditions(content)), is_outside_aws)
