"""Finds variables that look like settings and are none: a misspelt setting would have its default unnoticed. Pure."""

from collections.abc import Collection, Iterator, Mapping

import contract
from contract.service_links import is_service_link
from contract.text import quote
from injector.edit_distance import find_nearest

PREFIX = "PODROLE_"
SIDECAR_VARIABLES = frozenset(str(value) for name, value in vars(contract).items() if name.startswith("ENV_"))

MAX_NAME = 64
"""Characters of a name that is compared. The longest setting has 34."""

SHOWN_NAME = 48
MAX_SHOWN = 8
"""Of all unknown variables, so that their sentences fit into a container's last message."""

MAX_EDITS_WITHOUT_PREFIX = 2
"""`PODROL_REGION` and `POD_ROLE_REGION` are meant as settings, `POD_NAMESPACE` is not."""

LETTERS_FOR_EACH_EDIT = 3


def find_unknown(environ: Mapping[str, str], known: Collection[str]) -> list[str]:
    """The variables that are meant as settings, but not among the `known` ones; without those of Services."""
    return [
        name
        for name in sorted(environ)
        if name not in known and not is_service_link(name, environ[name]) and _may_be_meant(name, known)
    ]


def describe_unknown(variables: Collection[str], known: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each of the first MAX_SHOWN variables, and one for the number of the others."""
    shown = sorted(variables)[:MAX_SHOWN]
    for name in shown:
        belongs = (
            "is a setting of the sidecar, not of the injector" if name in SIDECAR_VARIABLES else "is not a setting"
        )
        meant = find_meant(name, known)
        hint = f"; did you mean {meant}?" if meant else ": docs/configuration.md lists all settings"
        yield f"{quote(name, SHOWN_NAME)} {belongs}{hint}"
    if len(variables) > len(shown):
        yield f"and {len(variables) - len(shown)} more that are not settings"


def describe_variable(name: str, known: Collection[str]) -> str:
    """Say that this is no setting, and which one has the nearest name."""
    meant = find_meant(name, known)
    kind = "a setting of the sidecar, not of the injector" if name in SIDECAR_VARIABLES else "not a setting"
    hint = f"; did you mean {meant}?" if meant else ": docs/configuration.md lists all settings"
    return f"{quote(name, SHOWN_NAME)} is {kind}{hint}"


def find_meant(variable: str, known: Collection[str]) -> str | None:
    """The setting with the nearest name: nearly the same letters, or else some more or fewer words."""
    if len(variable) > MAX_NAME:
        return None
    name = variable.upper()
    most = max(1, len(name.removeprefix(PREFIX)) // LETTERS_FOR_EACH_EDIT)
    words = _split(name)
    related = [one for one in known if words and (words <= _split(one) or words >= _split(one))]
    return find_nearest(name, known, most) or find_nearest(name, related, MAX_NAME)


def _may_be_meant(name: str, known: Collection[str]) -> bool:
    folded = name.upper()
    if folded.startswith(PREFIX):
        return True
    is_near = folded.startswith(PREFIX[:3]) and len(folded) <= MAX_NAME
    return is_near and find_nearest(folded, known, MAX_EDITS_WITHOUT_PREFIX) is not None


def _split(name: str) -> set[str]:
    return {*name.removeprefix(PREFIX).split("_")} - {""}
