"""How findings are formatted, counted and turned into an exit code."""

import pytest

from podrole.diagnosis.cluster.checks import diagnose_cluster
from podrole.findings import (
    Finding,
    Level,
    Section,
    build_document,
    choose_exit_code,
    format_counts,
    format_sections,
)
from tests.unit.podrole.diagnosis.states import NOW, build_cluster_state


def test_text_shows_levels_and_never_wraps_a_command() -> None:
    command = "kubectl -n team-a " + "x" * 200
    section = Section("Title", (Finding(Level.WARNING, "Code", "word " * 40, command),))

    text = format_sections([Section("Empty", ()), section])

    lines = text.splitlines()
    assert lines[0] == "Title"
    assert lines[1].startswith("  warning  word word")
    assert lines[-1] == f"           > {command}"
    assert max(map(len, lines[:-1])) <= 110
    assert "Empty" not in text


def test_last_line_counts_problems_warnings_and_unknowns() -> None:
    sections = diagnose_cluster(build_cluster_state({"nodes": "no"}, service=None), {}, NOW)

    assert format_counts(sections) == "1 problem, 0 warnings, 2 unknown"


def test_json_document_has_section_level_code_text_and_remedy() -> None:
    document = build_document(diagnose_cluster(build_cluster_state(), {}, NOW))

    assert document[0] == {
        "section": "Kubernetes",
        "level": "ok",
        "code": "ApiServerSupported",
        "text": "The API server is 1.34 and supports native sidecars.",
        "remedy": "",
    }


@pytest.mark.parametrize(
    ("levels", "least", "code"),
    [
        pytest.param([], Level.PROBLEM, 0, id="no-finding"),
        pytest.param(["ok", "note"], Level.WARNING, 0, id="note"),
        pytest.param(["ok", "warning"], Level.PROBLEM, 0, id="warning-below-the-least-level"),
        pytest.param(["ok", "warning"], Level.WARNING, 1, id="warning"),
        pytest.param(["problem", "unknown"], Level.PROBLEM, 1, id="problem-and-unknown"),
        pytest.param(["problem"], Level.WARNING, 1, id="problem-above-the-least-level"),
        pytest.param(["ok", "unknown"], Level.PROBLEM, 3, id="unknown"),
        pytest.param(["warning", "unknown"], Level.PROBLEM, 3, id="unknown-and-warning-below-the-least-level"),
    ],
)
def test_exit_code_is_that_of_the_most_severe_finding(levels: list[str], least: Level, code: int) -> None:
    findings = tuple(Finding(Level(level), "Code", "Text.", "") for level in levels)

    assert choose_exit_code([Section("Title", findings)], least) == code
