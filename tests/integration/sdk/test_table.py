"""docs/sdks.md has the rows of the SDK table."""

import pytest

from testing.repository import ROOT
from tests.integration.sdk.apps import MODES
from tests.integration.sdk.table import KEEPS, LATER_SECONDS, ROTATIONS, SDKS, Behaviour, Sdk

PAGE = (ROOT / "docs/sdks.md").read_text()
WAY_NAMES = {"imds": "IMDS", "ecs": "ECS", "env": "env"}


def build_rows(sdk: Sdk) -> list[str]:
    """An SDK's rows in the page's table: ways with the same behaviour share a row."""
    rows = []
    for behaviour in dict.fromkeys(sdk.ways.values()):
        names = ", ".join(WAY_NAMES[way] for way, found in sdk.ways.items() if found == behaviour)
        rows.append(f"| {sdk.title} | {sdk.version or 'as locked'} | {names} | {describe(behaviour)} |")
    return [
        *rows,
        *(f"| {sdk.title} | | {WAY_NAMES[way]} | cannot: {reason} | | | |" for way, reason in sdk.cannot.items()),
    ]


def describe(behaviour: Behaviour) -> str:
    outage = "works on" if behaviour.outage == KEEPS else "fails"
    why = "yes" if behaviour.tells_why else "no"
    return f"{behaviour.rotation} | {outage} | {behaviour.fails_within_seconds} s | {why}"


@pytest.mark.parametrize("sdk", SDKS.values(), ids=list(SDKS))
def test_page_has_the_rows_of_each_sdk(sdk: Sdk) -> None:
    assert [row for row in build_rows(sdk) if row not in PAGE.splitlines()] == []


@pytest.mark.parametrize("sdk", SDKS.values(), ids=list(SDKS))
def test_each_sdk_supports_every_way_or_has_a_reason(sdk: Sdk) -> None:
    assert sdk.ways.keys() | sdk.cannot.keys() == MODES.keys()
    assert not sdk.ways.keys() & sdk.cannot.keys()


def test_page_explains_each_rotation_time() -> None:
    used = {behaviour.rotation for sdk in SDKS.values() for behaviour in sdk.ways.values()}

    assert used == ROTATIONS.keys()
    assert [f"*{name}*" for name in ROTATIONS if f"*{name}*: {ROTATIONS[name]}" not in PAGE] == []
    assert LATER_SECONDS > 600
