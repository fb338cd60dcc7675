"""Label selectors, evaluated as the API server does."""

from typing import Any

import pytest

from podrole.diagnosis.state.selectors import find_mismatch, format_selector

LABELS = {"team": "a", "tier": "web"}


def expect(operator: str, key: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": [*values]}]}


@pytest.mark.parametrize(
    "selector",
    [
        pytest.param({}, id="empty"),
        pytest.param({"matchLabels": None, "matchExpressions": None}, id="null"),
        pytest.param({"matchLabels": {"team": "a"}}, id="label"),
        pytest.param(expect("In", "team", "b", "a"), id="in"),
        pytest.param(expect("NotIn", "team", "b"), id="not-in"),
        pytest.param(expect("NotIn", "absent", "b"), id="not-in-with-absent-label"),
        pytest.param(expect("Exists", "team"), id="exists"),
        pytest.param(expect("DoesNotExist", "absent"), id="does-not-exist"),
    ],
)
def test_matching_selector_has_no_mismatch(selector: dict[str, Any]) -> None:
    assert find_mismatch(selector, LABELS) is None


@pytest.mark.parametrize(
    ("selector", "requirement"),
    [
        pytest.param({"matchLabels": {"team": "b"}}, "team In (b)", id="label"),
        pytest.param({"matchLabels": {"team": "a", "absent": "x"}}, "absent In (x)", id="absent-label"),
        pytest.param(expect("In", "team", "b", "c"), "team In (b, c)", id="in"),
        pytest.param(expect("NotIn", "team", "a"), "team NotIn (a)", id="not-in"),
        pytest.param(expect("Exists", "absent"), "absent Exists", id="exists"),
        pytest.param(expect("DoesNotExist", "team"), "team DoesNotExist", id="does-not-exist"),
        pytest.param(expect("Gt", "team", "1"), "team Gt (1)", id="unknown-operator"),
    ],
)
def test_unmatched_requirement_is_returned(selector: dict[str, Any], requirement: str) -> None:
    assert find_mismatch(selector, LABELS) == requirement


def test_selector_is_formatted_for_a_query() -> None:
    selector = {
        "matchLabels": {"app": "web"},
        "matchExpressions": [
            {"key": "a", "operator": "NotIn", "values": ["x", "y"]},
            {"key": "b", "operator": "Exists"},
            {"key": "c", "operator": "DoesNotExist"},
        ],
    }

    assert format_selector(selector) == "app in (web),a notin (x,y),b,!c"
