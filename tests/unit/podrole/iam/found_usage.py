"""Finds the usage of roles in a few objects."""

from typing import Any

from podrole.estate.objects import Estate
from podrole.iam.admission import Account, Selection
from podrole.iam.usage import ADMITTED, RoleUsage, find_usage

BASE = "arn:aws:iam::111122223333:role/"
ACCOUNT = Account(BASE, "eu-west-1")


def find(*things: dict[str, Any], account: Account = ACCOUNT, selection: Selection = ADMITTED) -> RoleUsage:
    """Find the usage in these objects alone."""
    estate = Estate()
    for thing in things:
        estate.add(thing)
    return find_usage(estate, account, selection)
