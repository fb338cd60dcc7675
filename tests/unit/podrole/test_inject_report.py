"""What `podrole inject` reports about each pod."""

import json
from pathlib import Path

import pytest

from tests.unit.podrole.conftest import Run
from tests.unit.podrole.manifest_texts import DENIED, DEPLOYMENT, NAMESPACE, SERVICE, write


@pytest.mark.usefixtures("settings")
def test_report_has_outcome_changes_and_trust_policy_command(run: Run) -> None:
    result = run("inject", "-f", "-", stdin=f"{DEPLOYMENT}---\n{NAMESPACE}")

    variables = (
        "PODROLE_POD_UID=metadata.uid, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/$(PODROLE_POD_UID), "
        "AWS_REGION=eu-west-1, AWS_DEFAULT_REGION=eu-west-1"
    )
    told = "Inject (mode redirect, role arn:aws:iam::111122223333:role/reader): An annotation of the pod sets its role."
    assert result.stderr.splitlines() == [
        "-, document 1: Deployment default/shop",
        f"  {told}",
        "  adds the init containers podrole-redirect and podrole-sidecar",
        f"  adds to container app: {variables}",
        "Each role must trust its pods. To print the trust policy that a role needs:",
        "  podrole trust-policy arn:aws:iam::111122223333:role/reader --namespace default --service-account default",
    ]


@pytest.mark.usefixtures("settings")
def test_pod_in_namespace_without_label_is_injected_with_a_note(run: Run) -> None:
    unlabelled = NAMESPACE.replace(", labels: {podrole.io/injection: enabled}", "")

    result = run("inject", "-f", "-", stdin=f"{DEPLOYMENT}---\n{unlabelled}")

    assert result.code == 0
    assert "podrole-sidecar" in result.stdout
    assert "note: Namespace default lacks the label podrole.io/injection: enabled" in result.stderr


@pytest.mark.usefixtures("settings")
def test_note_about_the_label_names_the_value_that_was_found(run: Run) -> None:
    result = run("inject", "-f", "-", stdin=f"{DEPLOYMENT}---\n{NAMESPACE.replace('enabled', 'Enabled')}")

    found = 'lacks the label podrole.io/injection: enabled (it has the label podrole.io/injection: "Enabled")'
    assert found in result.stderr


@pytest.mark.usefixtures("settings")
def test_pod_with_unknown_namespace_and_account_is_injected_with_notes(run: Run) -> None:
    text = DEPLOYMENT.replace("    spec:\n", "    spec:\n      serviceAccountName: web\n")

    result = run("inject", "-f", "-", "-n", "team-a", stdin=text)

    assert result.code == 0
    assert "Deployment team-a/shop\n  Inject" in result.stderr
    assert "note: Namespace team-a is not among the manifests" in result.stderr
    assert "note: ServiceAccount web is not among the manifests" in result.stderr
    assert "--namespace team-a --service-account web" in result.stderr


@pytest.mark.usefixtures("settings")
def test_pod_without_role_is_blocked_and_the_report_says_why(run: Run) -> None:
    result = run("inject", "-f", "-", stdin=DEPLOYMENT.replace("iam.amazonaws.com/role", "example.com/role"))

    assert result.code == 0
    assert "Block (mode block): No role is configured for this pod" in result.stderr
    assert "trust-policy" not in result.stderr


@pytest.mark.usefixtures("settings")
def test_role_on_the_deployment_itself_is_named_with_its_right_place(run: Run) -> None:
    role = "  annotations: {iam.amazonaws.com/role: reader}\n"
    text = DEPLOYMENT.replace("iam.amazonaws.com/role", "example.com/role").replace("shop\n", f"shop\n{role}", 1)

    result = run("inject", "-f", "-", stdin=text.replace("# A shop.\n", ""))

    place = "Set the annotation iam.amazonaws.com/role in spec.template.metadata."
    assert f"warning: Annotation iam.amazonaws.com/role of the Deployment has no effect. {place}" in result.stderr


@pytest.mark.usefixtures("settings")
def test_second_injection_changes_nothing_and_the_report_says_so(run: Run) -> None:
    once = run("inject", "-f", "-", stdin=DEPLOYMENT)

    twice = run("inject", "-f", "-", stdin=once.stdout)

    assert twice.stdout == once.stdout
    assert "No change was needed." in twice.stderr


@pytest.mark.usefixtures("settings")
def test_manifests_without_pods_are_printed_unchanged_with_a_note(run: Run) -> None:
    result = run("inject", "-f", "-", stdin=SERVICE)

    assert (result.code, result.stdout) == (0, SERVICE)
    assert "contain no pods or workloads" in result.stderr


@pytest.mark.usefixtures("settings")
def test_json_output_has_one_entry_per_template(run: Run, tmp_path: Path) -> None:
    result = run("inject", "-o", "json", "-f", write(tmp_path, a=DEPLOYMENT, b=DENIED, c=SERVICE))

    good, bad = json.loads(result.stdout)
    assert result.code == 1
    assert good == {
        "file": str(tmp_path / "a.yaml"),
        "document": 1,
        "kind": "Deployment",
        "namespace": "default",
        "name": "shop",
        "outcome": "Inject",
        "reason": "RoleFromPod",
        "message": "An annotation of the pod sets its role.",
        "mode": "redirect",
        "role": "arn:aws:iam::111122223333:role/reader",
        "warnings": [],
        "notes": good["notes"],
        "patch": good["patch"],
    }
    assert {operation["path"].split("/")[1:3] == ["spec", "template"] for operation in good["patch"]} == {True}
    assert (bad["outcome"], bad["reason"], bad["patch"]) == ("Deny", "InvalidRole", [])


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("old", "new", "quoted"),
    [
        pytest.param(
            "iam.amazonaws.com/role: reader",
            "iam.amazonaws.com/role: '$(id)/reader'",
            "trust-policy 'arn:aws:iam::111122223333:role/$(id)/reader' --namespace",
            id="path-of-the-role",
        ),
        pytest.param(
            "    spec:\n",
            "    spec:\n      serviceAccountName: 'a; id'\n",
            "--service-account 'a; id'",
            id="service-account",
        ),
    ],
)
def test_trust_policy_command_is_quoted_for_a_shell(run: Run, old: str, new: str, quoted: str) -> None:
    assert old in DEPLOYMENT

    result = run("inject", "-f", "-", stdin=DEPLOYMENT.replace(old, new))

    assert quoted in result.stderr
