"""Label selectors, as the API server reads them."""

from typing import Any

import pytest

from podrole.diagnosis.selectors import find_mismatch, format_selector

LABELS = {"team": "a", "tier": "web"}


def expect(operator: str, key: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": [*values]}]}


@pytest.mark.parametrize(
    "selector",
    [
        {},
        {"matchLabels": None, "matchExpressions": None},
        {"matchLabels": {"team": "a"}},
        expect("In", "team", "b", "a"),
        expect("NotIn", "team", "b"),
        expect("NotIn", "absent", "b"),
        expect("Exists", "team"),
        expect("DoesNotExist", "absent"),
    ],
)
def test_selector_that_is_met_has_no_mismatch(selector: dict[str, Any]) -> None:
    assert find_mismatch(selector, LABELS) is None


@pytest.mark.parametrize(
    ("selector", "requirement"),
    [
        ({"matchLabels": {"team": "b"}}, "team In (b)"),
        ({"matchLabels": {"team": "a", "absent": "x"}}, "absent In (x)"),
        (expect("In", "team", "b", "c"), "team In (b, c)"),
        (expect("NotIn", "team", "a"), "team NotIn (a)"),
        (expect("Exists", "absent"), "absent Exists"),
        (expect("DoesNotExist", "team"), "team DoesNotExist"),
        (expect("Gt", "team", "1"), "team Gt (1)"),
    ],
)
def test_requirement_that_is_not_met_is_named(selector: dict[str, Any], requirement: str) -> None:
    assert find_mismatch(selector, LABELS) == requirement


def test_selector_is_written_as_the_api_takes_it() -> None:
    selector = {
        "matchLabels": {"app": "web"},
        "matchExpressions": [
            {"key": "a", "operator": "NotIn", "values": ["x", "y"]},
            {"key": "b", "operator": "Exists"},
            {"key": "c", "operator": "DoesNotExist"},
        ],
    }

    assert format_selector(selector) == "app in (web),a notin (x,y),b,!c"
