"""The command line and the documented ways in and out, against the installation on a real cluster."""

import json
from pathlib import Path

from click.testing import CliRunner

from podrole.__main__ import main as podrole
from tests.integration.node.cluster import Node, build_pod
from tests.integration.node.conftest import NAMESPACE, await_rollout
from tests.integration.node.store import TEAM_A, Store
from tests.integration.node.test_roles import run_podrole


def test_preflight_proves_the_installation_with_a_pod_in_a_dry_run(installed: Node, team: str) -> None:
    said = run_podrole(installed, "preflight", "--namespace", team)

    print(said)
    assert "0 problems" in said
    assert said.endswith("\n0")


def test_check_finds_nothing_wrong_with_a_pod_that_has_its_role(installed: Node, team: str) -> None:
    installed.apply(build_pod("sleep 600", role="anybody"), team)
    installed.await_ready("pod/app", team)

    said = run_podrole(installed, "check", f"{team}/app")

    print(said)
    assert "The sidecar serves credentials of arn:aws:iam::111122223333:role/anybody" in said
    assert said.endswith("\n0")


def test_check_tells_why_a_pod_was_not_injected(installed: Node, plain: str) -> None:
    installed.apply(build_pod("sleep 600", role="anybody"), plain)
    installed.await_ready("pod/app", plain)

    said = run_podrole(installed, "check", f"{plain}/app")

    print(said)
    assert "podrole.io/injection" in said


def test_printed_trust_policy_is_the_one_that_works(installed: Node, team_a: str, store: Store) -> None:
    """With what SeaweedFS calls differently: its key of the subject, and the audience, which it checks by itself."""
    asked = ["trust-policy", TEAM_A.arn, "-n", team_a, "-s", "other"]
    said = CliRunner().invoke(podrole, asked, env={"KUBECONFIG": installed.kubectl.kubeconfig}).stdout
    policy = json.loads(said)
    condition = policy["Statement"][0]["Condition"]["StringEquals"]
    key = next(key for key in condition if key.endswith(":sub"))
    policy["Statement"][0]["Condition"]["StringEquals"] = {"oidc:sub": condition[key]}
    file = store.directory / "iam.json"
    before = file.read_text()
    iam = json.loads(before)
    next(role for role in iam["roles"] if role["roleName"] == TEAM_A.name)["trustPolicy"] = policy
    try:
        with store.outage():
            file.write_text(json.dumps(iam))
        log = installed.run("aws s3 ls s3://team-a && echo listed", team_a, role="team-a", account="other")
    finally:
        with store.outage():
            file.write_text(before)

    print(said, log)
    assert condition[key] == f"system:serviceaccount:{team_a}:other"
    assert log.endswith("listed\n")


def test_removal_as_documented_leaves_nothing_and_blocks_nobody(installed: Node, team: str, overlay: Path) -> None:
    installed.apply(build_pod("sleep 600", role="anybody", name="old"), team)
    installed.await_ready("pod/old", team)
    kubectl = installed.kubectl
    try:
        kubectl.run("delete", "mutatingwebhookconfiguration", "podrole-injector")
        kubectl.run("label", "namespaces", "--selector", "podrole.io/injection", "podrole.io/injection-")
        installed.apply(build_pod("sleep 600", name="new"), team)
        kubectl.run("delete", "-k", str(overlay), "--ignore-not-found")
        left = kubectl.run(
            "get", "clusterroles,clusterrolebindings,mutatingwebhookconfigurations,namespaces", "--output=name"
        ).output
        still = installed.execute("old", team, "aws", "s3", "ls", "s3://anybody")
    finally:
        kubectl.run("apply", "-k", str(overlay))
        await_rollout(installed)

    print(left, still)
    assert "podrole" not in left
    assert "initContainers" not in installed.read("pod", "new", team)["spec"]
    assert "error" not in still.lower()
    assert installed.find("namespace", NAMESPACE, "default")
