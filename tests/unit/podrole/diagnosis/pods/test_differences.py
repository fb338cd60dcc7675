"""Differences of long values: only the parts that differ, each with its path, within a limit."""

from typing import Any

import pytest

from podrole.diagnosis.pods.differences import MAX_VALUE, describe_difference

LONG = "x" * 60
MOUNTS: list[dict[str, Any]] = [
    {"name": "podrole-token", "mountPath": "/t", "readOnly": True},
    {"name": "podrole-run", "mountPath": "/run"},
]


@pytest.mark.parametrize(
    ("found", "wanted", "described"),
    [
        pytest.param(None, 5, "it is absent and would be 5", id="absent"),
        pytest.param({"a": 1}, None, 'it is {"a": 1} and would be absent', id="unexpected"),
        pytest.param({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2}, "it.a.b is 1 and would be 3", id="inner-field"),
        pytest.param(
            {"a": 1, "b": {"c": True}},
            {"a": 2},
            'it.a is 1 and would be 2; it.b is {"c": true} and would be absent',
            id="two-fields",
        ),
        pytest.param(["nft", "-f", "x"], ["nft", "-f", "y"], "it[2] is x and would be y", id="element"),
        pytest.param(["true"], ["nft", "-f"], 'it is ["true"] and would be ["nft", "-f"]', id="lists"),
        pytest.param(
            ["a", "b", "z"], ["a", "c", "d", "z"], 'it[1:] is ["b"] and would be ["c", "d"]', id="middle-of-lists"
        ),
        pytest.param(["a"], ["a", "b"], 'it[1:] is absent and would be ["b"]', id="end-of-a-list"),
        pytest.param(
            [MOUNTS[0], {**MOUNTS[1], "readOnly": True}],
            MOUNTS,
            "it[/run].readOnly is true and would be absent",
            id="field-of-a-mount",
        ),
        pytest.param(MOUNTS, MOUNTS[1:], "it[/t] is {", id="mount-that-is-unexpected"),
        pytest.param(
            f"{LONG}first{LONG}",
            f"{LONG}second{LONG}",
            f"it is ...{'x' * 20}first{'x' * 20}... and would be ...{'x' * 20}second{'x' * 20}...",
            id="middle-of-texts",
        ),
        pytest.param("a", f"{LONG}{LONG}", f"it is a and would be {LONG}{LONG}", id="short-and-long-text"),
        pytest.param("1", 1, "it is 1 and would be 1", id="type"),
    ],
)
def test_only_the_parts_that_differ_are_shown(found: Any, wanted: Any, described: str) -> None:
    assert describe_difference("it", found, wanted, None).startswith(described)


def test_long_text_is_shown_whole_up_to_the_limit() -> None:
    described = describe_difference("it", "a" * 900, "b" * 5000, None)

    assert described == f"it is {'a' * 900} and would be {'b' * MAX_VALUE}..."


def test_number_of_differences_is_limited() -> None:
    described = describe_difference("it", {str(one): one for one in range(50)}, {}, None)

    assert described.count(" is ") == 10
    assert described.endswith("; and 40 more differences")


def test_defaults_are_no_difference() -> None:
    described = describe_difference(
        "it", {"procMount": "Default", "runAsUser": 0}, {"runAsUser": 1}, {"procMount": "Default"}
    )

    assert described == "it.runAsUser is 0 and would be 1"


@pytest.mark.parametrize("text", ["\x1b[31m" * 1000, "\n" * 5000, "\u202e" * 300], ids=["escape", "lines", "bidi"])
def test_hostile_values_are_printable_and_short(text: str) -> None:
    described = describe_difference("it", text, "b", None)

    assert described.isprintable()
    assert len(described) < 2 * MAX_VALUE
