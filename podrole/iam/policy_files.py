"""Parses the existing trust policies of roles: files that the AWS CLI wrote, or plain policies named by role.

A file has the output of `aws iam list-roles`, `aws iam get-account-authorization-details` or `aws iam get-role`, or a
policy alone: then its name is the role's, such as `reader.json`, or `111122223333/reader.json` for one account.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from contract.text import quote
from injector.decision.roles import ANY_ARN
from podrole.iam.documents import Policy, PolicyError, count_characters, parse_json, parse_role, read_statements

MAX_ROLES = 20_000
"""IAM has at most 10 000 roles in an account.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

MAX_CHARACTERS = 64 * 1024
"""Of a policy. IAM accepts 4096; a store outside AWS can accept more."""

LISTS = ("Roles", "RoleDetailList")
MAX_SHOWN = 200
"""Characters of a file's name, or of an error about it."""


class PolicyFile(NamedTuple):
    """One file. Its name is relative to the directory of all of them."""

    name: str
    text: str


class ExistingPolicy(NamedTuple):
    """The trust policy of a role."""

    role_arn: str | None
    """None where only the file's name tells the role."""

    policy: Policy
    file: str


Key = tuple[str | None, str]
"""Account (None: any) and name in lower case: IAM's names differ in more than case, and are unique without the path."""


class ExistingPolicies(NamedTuple):
    """The trust policies of many roles."""

    by_arn: Mapping[str, ExistingPolicy] = {}
    by_name: Mapping[Key, ExistingPolicy] = {}
    problems: tuple[str, ...] = ()
    """Files without a policy, and roles with two: what is in them is not known, so it does not count as absent."""

    def find(self, role_arn: str) -> ExistingPolicy | None:
        """The policy of a role: by its ARN, else by the name of a file."""
        account, name = _read_key(role_arn)
        return self.by_arn.get(role_arn) or self.by_name.get((account, name)) or self.by_name.get((None, name))

    def select(self, role_arn: str) -> "ExistingPolicies":
        """Select one role's policy; its namesakes stay known."""
        found = self.find(role_arn)
        namesake = self.find_namesake(role_arn)
        known = {role_arn: found} if found else {namesake: self.by_arn[namesake]} if namesake else {}
        return ExistingPolicies(known)

    def find_namesake(self, role_arn: str) -> str | None:
        """The ARN of a role of the same account and name, but with another path or other upper-case letters."""
        wanted = _read_key(role_arn)
        return next((arn for arn in self.by_arn if arn != role_arn and _read_key(arn) == wanted), None)


def parse_policy_files(files: Iterable[PolicyFile]) -> ExistingPolicies:
    """Parse all files. What is wrong with one of them becomes a problem, and the others are parsed all the same."""
    by_arn: dict[str, ExistingPolicy] = {}
    by_name: dict[Key, ExistingPolicy] = {}
    problems: list[str] = []
    for file in files:
        try:
            for key, found in _parse_file(file):
                known = by_arn.get(key) if isinstance(key, str) else by_name.get(key)
                if known and known.policy != found.policy:
                    role = key if isinstance(key, str) else key[1]
                    problems.append(f"{_show(file.name)}: has another policy of {_show(role)} than {_show(known.file)}")
                elif isinstance(key, str):
                    by_arn[key] = found
                else:
                    by_name[key] = found
        except PolicyError as error:
            problems.append(f"{_show(file.name)}: {_show(str(error))}")
        if len(by_arn) + len(by_name) > MAX_ROLES:
            problems.append(f"{_show(file.name)}: there are more than {MAX_ROLES} roles; others were not read")
            break
    return ExistingPolicies(by_arn, by_name, tuple(problems))


def _parse_file(file: PolicyFile) -> Iterator[tuple[str | Key, ExistingPolicy]]:
    if not file.text.strip():
        raise PolicyError("the file is empty: the command that wrote it failed")
    document = parse_json(file.text)
    roles = next((document[key] for key in LISTS if key in document), None) if isinstance(document, dict) else None
    for one in [document] if roles is None else roles if isinstance(roles, list) else [roles]:
        policy, arn = parse_role(one)
        read_statements(policy)
        if count_characters(policy) > MAX_CHARACTERS:
            raise PolicyError(f"a policy has more than {MAX_CHARACTERS} characters")
        if arn is None and roles is not None:
            raise PolicyError("a role of the list has no Arn")
        if arn is not None and not ANY_ARN.fullmatch(arn):
            raise PolicyError(f"{arn!r} is not a valid ARN of a role")
        yield arn or _read_name(file.name), ExistingPolicy(arn, policy, file.name)


def _read_name(name: str) -> Key:
    path = PurePosixPath(name)
    account = path.parent.name
    return (account if account.isdigit() else None, path.stem.lower())


def _read_key(role_arn: str) -> tuple[str, str]:
    arn = ANY_ARN.fullmatch(role_arn)
    account = arn["account"] if arn else ""
    return account or "", role_arn.rpartition("/")[2].lower()


def _show(text: str) -> str:
    return quote(text, MAX_SHOWN)
