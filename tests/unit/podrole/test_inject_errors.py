"""`podrole inject` refuses invalid input, invalid settings and denied pods."""

from pathlib import Path

import pytest

from tests.unit.podrole.conftest import Run
from tests.unit.podrole.manifest_texts import DENIED, DEPLOYMENT, SERVICE, write


def test_missing_file_is_reported(run: Run) -> None:
    result = run("inject", "-f", "nowhere.yaml")

    assert result.code == 2
    assert "nowhere.yaml" in result.stderr


def test_missing_settings_are_reported_by_option_and_variable(run: Run, tmp_path: Path) -> None:
    result = run("inject", "-f", write(tmp_path, shop=DEPLOYMENT))

    assert (result.code, result.stdout) == (2, "")
    assert "--sidecar-image (PODROLE_SIDECAR_IMAGE) is not set" in result.stderr
    assert "--region (PODROLE_REGION) is not set" in result.stderr
    assert "--cluster" in result.stderr


def test_invalid_setting_is_reported_by_option_and_variable(run: Run, tmp_path: Path, settings: dict[str, str]) -> None:
    result = run("inject", "-f", write(tmp_path, shop=DEPLOYMENT), "--mode", "magic")

    assert (result.code, result.stdout) == (2, "")
    assert "--mode (PODROLE_MODE) is 'magic': it must be auto, redirect or env" in result.stderr
    assert settings


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("kind: Pod\n\tspec: x", "-, document 1 (line 2, column 1)", id="tab"),
        pytest.param("a: 1\n---\napiVersion: v1\nkind: Pod\nspec: [", "-, document 2", id="unclosed-bracket"),
        pytest.param(
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}",
            "-, document 1: the pod has no spec",
            id="pod-without-spec",
        ),
        pytest.param(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}",
            "-, document 1: Deployment a has no spec",
            id="deployment-without-spec",
        ),
        pytest.param(
            "apiVersion: v1\nkind: Pod\nmetadata: {annotations: {a: 1}}\nspec: {}",
            "value of a is of type int: quote it",
            id="annotation-is-a-number",
        ),
        pytest.param(
            "apiVersion: v1\nkind: Pod\nspec: {containers: {}}",
            "-, document 1: containers must be a list",
            id="containers-are-not-a-list",
        ),
        pytest.param(
            "apiVersion: v1\nkind: Namespace\nmetadata: []",
            "-, document 1: metadata is of type list",
            id="metadata-is-a-list",
        ),
        pytest.param("", "the input is empty", id="empty-input"),
        pytest.param("\n \n", "the input is empty", id="only-blank-lines"),
        pytest.param("[" * 5000, "nested too deeply", id="nested-too-deeply-in-json"),
        pytest.param("a: " + "[" * 5000, "exceeded maximum nesting depth", id="nested-too-deeply-in-yaml"),
    ],
)
def test_invalid_input_is_reported_with_its_place(run: Run, text: str, problem: str) -> None:
    result = run("inject", "-f", "-", stdin=text)

    assert (result.code, result.stdout) == (2, "")
    assert problem in result.stderr


@pytest.mark.usefixtures("settings")
def test_no_manifest_is_printed_if_one_pod_is_denied(run: Run, tmp_path: Path) -> None:
    result = run("inject", "-f", write(tmp_path, a=DEPLOYMENT, b=DENIED, c=SERVICE))

    assert (result.code, result.stdout) == (1, "")
    assert "b.yaml, document 1: Deployment default/shop\n  Deny: annotation iam.amazonaws.com/role of" in result.stderr
    assert "no manifest was printed" in result.stderr


@pytest.mark.usefixtures("settings")
def test_every_reason_to_deny_a_pod_is_reported(run: Run) -> None:
    text = DENIED.replace("annotations:", "annotations:\n        podrole.io/imds-tokens: maybe")

    result = run("inject", "-f", "-", stdin=text)

    assert "  and: " in result.stderr
    assert "podrole.io/imds-tokens" in result.stderr
