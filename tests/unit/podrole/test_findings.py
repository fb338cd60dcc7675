"""How findings are formatted, counted and turned into an exit code."""

import re
from string import Formatter

import pytest

from podrole.diagnosis.cluster.checks import diagnose_cluster
from podrole.findings import (
    Finding,
    FindingTemplate,
    Level,
    Section,
    build_document,
    choose_exit_code,
    format_counts,
    format_sections,
)
from tests.unit.podrole.diagnosis.states import NOW, build_cluster_state
from tests.unit.test_message_tables import import_tables


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


TEMPLATES = [one for one in import_tables() if isinstance(one, FindingTemplate)]
WITH_NUMBERS = [one for one in TEMPLATES if re.search(r":[^{}|]*\|[^{}]*\}", one.sentence)]
NOUNS = ("pod", "workload", "sidecar", "namespace", "restart", "attempt")
SINGULAR = "|".join((*NOUNS, "is", "has", "exists", "policy"))
PLURAL = "|".join((*(f"{noun}s" for noun in NOUNS), "are", "have", "were", "exist", "policies"))


@pytest.mark.parametrize("template", WITH_NUMBERS, ids=str)
def test_words_agree_with_numbers(template: FindingTemplate) -> None:
    texts = (template.sentence, template.remedy)
    names = [name for text in texts for _, name, _, _ in Formatter().parse(text) if name]

    none, one, two = (template.format(**dict.fromkeys(names, number)).text for number in range(3))

    assert not re.search(rf"\b1 (\w+ )?({PLURAL})\b", one)
    assert not re.search(rf"\b0 (\w+ )?({SINGULAR})\b", none)
    assert not re.search(rf"\b2 (\w+ )?({SINGULAR})\b", two)
    assert len({none.replace("0", "2"), one, two}) == 2


@pytest.mark.parametrize("template", TEMPLATES, ids=str)
def test_no_sentence_has_a_number_before_words_of_one_form(template: FindingTemplate) -> None:
    """It would say `1 pods are`."""
    assert not re.findall(
        rf"\{{\w+\}} (?:(?:more|other|running|such|Windows) ){{0,2}}(?:{PLURAL.partition('|are')[0]})\b",
        template.sentence,
    )
