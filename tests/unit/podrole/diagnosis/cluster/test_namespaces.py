"""The checks of the namespaces: label, existence, mode."""

from typing import Any

import pytest

from tests.unit.podrole.diagnosis.states import (
    SAFE,
    build_deployment,
    build_namespace,
    diagnose_with,
    find_texts,
    list_concerns,
)


def build_enforcing_namespace(level: str, name: str = "team-a") -> dict[str, Any]:
    labels = {"podrole.io/injection": "enabled", "pod-security.kubernetes.io/enforce": level}
    return build_namespace(name, **labels)


def test_requested_namespace_that_does_not_exist_is_a_problem() -> None:
    findings = diagnose_with(requested_namespaces=("team-a", "nope"))

    assert list_concerns(findings) == ["NamespaceNotFound"]
    assert find_texts(findings, "NamespaceNotFound") == ["Namespace nope does not exist."]


def test_requested_namespace_without_label_is_a_note_with_the_command() -> None:
    findings = diagnose_with(namespaces=[build_namespace(team="a")])

    (finding,) = [finding for finding in findings if finding.code == "NamespaceNotLabelled"]
    assert finding.level == "note"
    assert finding.remedy == "kubectl label namespace team-a podrole.io/injection=enabled"


@pytest.mark.parametrize(
    ("labels", "annotations", "found"),
    [
        pytest.param({"podrole.io/injection": "true"}, {}, 'the label podrole.io/injection: "true"', id="true"),
        pytest.param({"podrole.io/injection": "Enabled"}, {}, 'the label podrole.io/injection: "Enabled"', id="case"),
        pytest.param({"podrole.io/inject": "true"}, {}, 'the label podrole.io/inject: "true"', id="label-of-pods"),
        pytest.param(
            {"podrole.io/injektion": "enabled"}, {}, 'the label podrole.io/injektion: "enabled"', id="misspelt"
        ),
        pytest.param({}, {"podrole.io/injection": "enabled"}, "the annotation podrole.io/injection", id="annotation"),
    ],
)
def test_namespace_with_something_else_than_the_label_is_a_warning_that_names_it(
    labels: dict[str, str], annotations: dict[str, str], found: str
) -> None:
    namespace = build_namespace(**(labels or {"team": "a"}))
    namespace["metadata"]["annotations"] = annotations

    (text,) = find_texts(diagnose_with(namespaces=[namespace]), "NamespaceLabelledOtherwise")

    assert text == f"Namespace team-a has {found}, which enables nothing: the label is podrole.io/injection: enabled."


def test_namespace_with_a_label_that_enables_nothing_has_no_mode() -> None:
    namespaces = [build_namespace("a"), build_namespace("b", **{"podrole.io/injection": "true"})]

    assert find_texts(diagnose_with(namespaces=namespaces), "RedirectMode") == ["Pods get redirect mode: a."]


def test_restricted_namespace_gets_env_mode_without_concern() -> None:
    findings = diagnose_with(namespaces=[build_enforcing_namespace("restricted")])

    assert list_concerns(findings) == []
    assert find_texts(findings, "EnvModeByPodSecurity")


def test_redirect_mode_in_a_baseline_namespace_is_a_problem() -> None:
    deployment = build_deployment(SAFE | {"PODROLE_MODE": "redirect"})

    findings = diagnose_with(namespaces=[build_enforcing_namespace("baseline")], deployment=deployment)

    assert list_concerns(findings) == ["RedirectForbidden"]


def test_modes_are_reported_with_their_namespaces() -> None:
    namespaces = [build_namespace("a"), build_enforcing_namespace("baseline", "b"), build_namespace("c")]

    findings = diagnose_with(namespaces=namespaces)

    assert find_texts(findings, "RedirectMode") == ["Pods get redirect mode: a, c."]
    (text,) = find_texts(findings, "EnvModeByPodSecurity")
    assert text.startswith("PodSecurity baseline does not allow the redirect")
    assert text.endswith("are not changed: b.")
