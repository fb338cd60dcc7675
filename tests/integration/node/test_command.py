"""The podrole command, and the documented removal, on a real cluster."""

import json
from pathlib import Path

from click.testing import CliRunner

from podrole.__main__ import main as podrole
from testing.cluster.api import wait_for
from tests.integration.node.cluster import Node, build_pod
from tests.integration.node.conftest import NAMESPACE, await_rollout
from tests.integration.node.store import TEAM_A, Store
from tests.integration.node.test_roles import run_podrole


def test_preflight_with_a_dry_run_finds_no_problems(installed: Node, team: str) -> None:
    output = run_podrole(installed, "preflight", "--namespace", team)

    print(output)
    assert "0 problems" in output
    assert output.endswith("\n0")


def test_check_reports_no_problem_for_a_pod_with_its_role(installed: Node, team: str) -> None:
    installed.apply(build_pod("sleep 600", role="anybody"), team)
    installed.await_ready("pod/app", team)

    output = run_podrole(installed, "check", f"{team}/app")

    print(output)
    assert "The sidecar serves credentials of arn:aws:iam::111122223333:role/anybody" in output
    assert output.endswith("\n0")


def test_check_of_a_namespace_counts_what_is_ok(installed: Node, team: str) -> None:
    installed.apply(build_pod("sleep 600", role="anybody"), team)
    installed.await_ready("pod/app", team)

    output = run_podrole(installed, "check", "-n", team)

    print(output)
    assert "1 of 1 workload is ok (pods: 1, namespaces: 1)" in output
    assert output.endswith("\n0")


def test_check_reports_that_a_pod_waits_for_its_own_init_container(installed: Node, team: str) -> None:
    pod = build_pod("sleep 600", role="anybody")
    pod["spec"]["initContainers"] = [{**pod["spec"]["containers"][0], "name": "migrate"}]
    installed.apply(pod, team)

    def find_output() -> str | None:
        output = run_podrole(installed, "check", f"{team}/app")
        return output if "podrole's part is done" in output else None

    output = wait_for("podrole's part is done", find_output, 60)

    print(output)
    assert "The pod waits for its own init container migrate" in " ".join(output.split())
    assert output.endswith("\n0")


def test_check_reports_why_a_pod_was_not_injected(installed: Node, plain: str) -> None:
    installed.apply(build_pod("sleep 600", role="anybody"), plain)
    installed.await_ready("pod/app", plain)

    output = run_podrole(installed, "check", f"{plain}/app")

    print(output)
    assert "podrole.io/injection" in output


def test_printed_trust_policy_grants_the_role(installed: Node, team_a: str, store: Store) -> None:
    """Adapted for SeaweedFS, which has another key for the subject and checks the audience itself."""
    arguments = ["trust-policy", TEAM_A.arn, "-n", team_a, "-s", "other"]
    output = CliRunner().invoke(podrole, arguments, env={"KUBECONFIG": installed.kubectl.kubeconfig}).stdout
    policy = json.loads(output)
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

    print(output, log)
    assert condition[key] == f"system:serviceaccount:{team_a}:other"
    assert log.endswith("listed\n")


def test_documented_removal_leaves_nothing_and_blocks_no_pod(installed: Node, team: str, overlay: Path) -> None:
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
