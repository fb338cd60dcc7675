"""Builds the script that sets trust policies: sh and the AWS CLI, without podrole. Pure."""

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import contract
from contract.text import quote
from injector.decision.roles import ANY_ARN
from podrole.findings import format_number
from podrole.iam.changes import PolicyChange
from podrole.iam.documents import MAXIMUM_QUOTA, Policy, count_characters

SCRIPT = "apply.sh"
POLICIES, BACKUPS = "policies", "backup"
MARK = "# Written by podrole trust-policy --out"
"""The second line of each script: the directory is podrole's own."""

SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@=+-]{0,99}", re.ASCII)
UNSAFE = re.compile(r"[^A-Za-z0-9_=+-]", re.ASCII)
NO_ACCOUNT = "no-account"
"""Directory of the roles of a store outside AWS that has no accounts."""

MAX_SHOWN = 500

HEAD = """\
#!/bin/sh
{mark} {version}. It sets the trust policies of {count}. Read it before you run it.
#
#   sh {script}             sets each policy of policies/ that is not set yet
#   sh {script} --replace   the same, also for roles without a file in backup/: saves their present policy there first
#   sh {script} --restore   sets the policies of backup/ again
#
# It prints each step, stops at the first failure, and can be run again. A role whose policy was changed by somebody
# else since podrole read it is a failure. Roles of other accounts than that of the credentials are left out.
# It needs the AWS CLI, and permission for sts:GetCallerIdentity, iam:GetRole and iam:UpdateAssumeRolePolicy.
# To restore one role by hand:
#   aws iam update-assume-role-policy --role-name=NAME --policy-document=file://backup/ACCOUNT/NAME.json
set -eu
export LC_ALL=C
unset CDPATH
cd -- "$(dirname -- "$0")"

from=backup to=policies replace=
case "${{1-}}" in
    "") ;;
    --replace) replace=yes ;;
    --restore) from=policies to=backup ;;
    *) echo "usage: sh {script} [--replace | --restore]" >&2; exit 2 ;;
esac

fail() {{
    echo "stopped: $*" >&2
    exit 1
}}

# The lines of a policy in an order of their own: IAM may answer keys and lists in another order.
lines() {{
    sed 's/^[[:space:]]*//; s/,$//' | sort
}}

is_same() {{ # is_same POLICY FILE
    [ -s "$2" ] && [ "$(printf '%s\\n' "$1" | lines)" = "$(lines < "$2")" ]
}}

set_policy() {{ # set_policy ACCOUNT ROLE-NAME FILE
    if [ "$1" != {no_account} ] && [ "$1" != "$account" ]; then
        echo "left out: $2 is in account $1"
        others=$((others + 1))
        return 0
    fi
    own=$((own + 1))
    now=$(aws iam get-role --role-name="$2" --query Role.AssumeRolePolicyDocument --output json)
    if [ -n "$replace" ] && [ ! -e "backup/$3" ]; then
        mkdir -p "backup/${{3%/*}}"
        printf '%s\\n' "$now" > "backup/$3.tmp"
        mv "backup/$3.tmp" "backup/$3"
        echo "saved: $2 in backup/$3"
    fi
    if [ "$to" = backup ] && [ ! -e "backup/$3" ]; then
        echo "left as it is: $2 has no back-up"
    elif is_same "$now" "$to/$3"; then
        echo "already set: $2"
    elif [ ! -e "$from/$3" ]; then
        fail "$2: there is no back-up of its policy, which this would replace. Give it to podrole with --policies," \\
            "or use --replace"
    elif ! is_same "$now" "$from/$3"; then
        fail "$2: its policy is neither that of $from/$3 nor that of $to/$3. Run podrole again with its present policy"
    else
        [ -s "$to/$3" ] || fail "$to/$3 is missing or empty"
        echo "setting: $2 to $to/$3"
        aws iam update-assume-role-policy --role-name="$2" --policy-document="file://$to/$3"
    fi
}}

account=$(aws sts get-caller-identity --query Account --output text)
echo "account: $account"
own=0 others=0
"""

TAIL = """
[ "$others" = 0 ] || echo "$others in other accounts: run this again with their credentials"
[ "$own" != 0 ] || [ "$others" = 0 ] || fail "no role is in account $account"
echo "done: $own"
"""


class RoleFiles(NamedTuple):
    """The files of one role. Their contents have the form in which the AWS CLI prints policies."""

    change: PolicyChange
    account: str
    name: str
    """Of the role, without its path."""

    file: str
    """Relative to each of the two directories."""

    policy: str
    backup: str | None
    """None: the existing policy is not known."""

    @property
    def is_accepted(self) -> bool:
        """Whether IAM can accept the policy."""
        return count_characters(self.change.policy) <= MAXIMUM_QUOTA


def name_files(changes: Iterable[PolicyChange]) -> list[RoleFiles]:
    """Choose a safe and unique name for the files of each role, also where case does not count."""
    named: list[RoleFiles] = []
    taken: set[str] = set()
    for change in changes:
        arn = ANY_ARN.fullmatch(change.requirements.role_arn)
        account = (arn["account"] if arn else "") or NO_ACCOUNT
        name = change.requirements.role_arn.rpartition("/")[2]
        base = f"{_clean(account)}/{_clean(name)}"
        numbers = (f"{base}~{number}" if number > 1 else base for number in range(1, len(taken) + 2))
        stem = next(one for one in numbers if one.lower() not in taken)
        taken.add(stem.lower())
        backup = None if change.existing is None else format_policy(change.existing)
        named.append(RoleFiles(change, account, name, f"{stem}.json", format_policy(change.policy), backup))
    return named


def format_policy(policy: Policy) -> str:
    """Format a policy as the AWS CLI prints it, so that the script can compare them."""
    return json.dumps(policy, indent=4, ensure_ascii=False) + "\n"


def build_script(roles: Sequence[RoleFiles]) -> str:
    """Build the script for these roles."""
    number = sum(one.is_accepted for one in roles)
    count = format_number(number, "role")
    head = HEAD.format(mark=MARK, version=contract.VERSION, count=count, script=SCRIPT, no_account=NO_ACCOUNT)
    return head + "".join(_format_role(one) for one in roles) + TAIL


def _format_role(role: RoleFiles) -> str:
    change = role.change
    lines = [change.requirements.role_arn]
    if change.existing is None:
        principals = sorted(
            {*change.requirements.subjects, *(one.role_arn for one in change.requirements.chained_roles)}
        )
        lines += [f"  trusts {one}; its existing policy is not known" for one in principals]
    else:
        lines += [f"  new: {one}" for one in change.new]
        lines += [f"  already trusted: {one}" for one in change.present]
        lines += [f"  trusted and not used: {one}" for one in change.unused]
    call = shlex.join(["set_policy", role.account, role.name, role.file])
    if not role.is_accepted:
        lines.append(f"  left out: IAM accepts {MAXIMUM_QUOTA} characters at most")
        call = f"# {call}"
    return "\n" + "".join(f"# {quote(line, MAX_SHOWN)}\n" for line in lines) + f"{call}\n"


def _clean(text: str) -> str:
    return text if SAFE.fullmatch(text) else UNSAFE.sub("_", text)[:100] or "_"
