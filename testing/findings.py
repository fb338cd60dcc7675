"""All codes that podrole's commands and its webhook print."""

import importlib
import pkgutil

import podrole
from injector.reasons import Reason
from podrole.findings import FindingTemplate

NOT_TABLES = "podrole.__main__"


def list_codes() -> set[str]:
    """The codes of all findings and of all reasons for a decision."""
    for module in pkgutil.walk_packages(podrole.__path__, f"{podrole.__name__}."):
        if module.name != NOT_TABLES:
            importlib.import_module(module.name)
    return {reason.code for reason in Reason} | _list_codes(FindingTemplate)


def _list_codes(table: type[FindingTemplate]) -> set[str]:
    return {each.code for each in table}.union(*(_list_codes(each) for each in table.__subclasses__()))
