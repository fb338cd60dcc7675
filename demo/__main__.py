"""`make demo`: run three pods on this machine and print their AWS identities. No cluster, no AWS account."""

import secrets
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from injector.patch.pod_uid import describe_addition
from testing.admission import Admitted
from testing.demo_node import IMDS_ENDPOINTS, NODE_SESSION, STS_URL, DemoNode, open_demo_node
from testing.pods import describe_limitations
from testing.pods.errors import RunnerError
from testing.services.programs import ServiceError

HERE = Path(__file__).parent
WIDTH = 120
ROLE_ANNOTATION = "iam.amazonaws.com/role"
REFUSED = "connection refused"


@dataclass(frozen=True)
class Expected:
    """What must be true of a pod after it has run."""

    identity: str | None
    """The end of the ARN that AWS sees, or None if the pod must have no credentials."""

    reached: dict[str, str]
    """Per endpoint of the node's metadata service: the role that it lists, or the connection error."""


class Report:
    """Prints what happens and counts failed checks."""

    def __init__(self) -> None:
        self.failures = 0

    def print_line(self, title: str, text: str) -> None:
        """Print a line, wrapped if it is long."""
        indented = textwrap.fill(
            text, WIDTH, initial_indent=f"  {title:<21} ", subsequent_indent=" " * 24, break_on_hyphens=False
        )
        print(indented, flush=True)

    def expect(self, title: str, found: str, *, holds: bool) -> None:
        """Print a line that starts with the check's result."""
        self.failures += not holds
        self.print_line(title, f"{'ok ' if holds else 'NO '} {found}")


def run_pod(report: Report, demo_node: DemoNode, pod: dict[str, Any], expected: Expected) -> None:
    """Create a pod as the API server and the kubelet do, and compare the result with what is expected."""
    metadata = pod["metadata"]
    print(f"\nPod {metadata['namespace']}/{metadata['name']}")
    admitted = demo_node.webhook.admit(pod)
    report.print_line("webhook", f"in {admitted.seconds * 1000:.1f} ms, {describe_patch(pod, admitted)}")
    with demo_node.create_pod(admitted.pod) as running:
        running.start()
        report.print_line("start", ", ".join(f"{step} {seconds:.2f} s" for step, seconds in running.timings.items()))
        for app in ("aws-cli", "boto3", "reach"):
            running.container(app).wait(timeout_seconds=30)
        for app in ("aws-cli", "boto3"):
            print_identity(report, app, running.logs(app).strip(), expected.identity)
        print_reach(report, running.logs("reach"), expected.reached)


def describe_patch(before: dict[str, Any], admitted: Admitted) -> str:
    """List what the patch added, by name."""
    if not admitted.patch:
        return "allowed unchanged"
    spec = admitted.pod["spec"]
    kinds = {None: "init container", "Always": "sidecar"}
    added = [f"{kinds[added.get('restartPolicy')]} {added['name']}" for added in spec["initContainers"]]
    old = {container["name"]: container.get("env") or [] for container in before["spec"]["containers"]}
    variables: dict[str, list[str]] = {}
    for container in spec["containers"]:
        for variable in container.get("env") or []:
            if variable not in old[container["name"]]:
                variables.setdefault(f"{variable['name']}={describe_addition(variable)}", []).append(container["name"])
    everywhere = [variable for variable, names in variables.items() if set(names) == set(old)]
    somewhere = [f"{variable} in {', '.join(names)}" for variable, names in variables.items() if set(names) != set(old)]
    return f"added {'; '.join([*added, *somewhere])}" + (
        f"; to all others {', '.join(everywhere)}" if everywhere else ""
    )


def print_identity(report: Report, app: str, output: str, expected: str | None) -> None:
    """Print the app's AWS identity."""
    last = output.splitlines()[-1] if output else "(printed nothing)"
    holds = "Unable to locate credentials" in last if expected is None else last.endswith(expected)
    report.expect(app, last, holds=holds)


def print_reach(report: Report, output: str, expected: dict[str, str]) -> None:
    """Print what each address of the node's metadata service answers."""
    reached = dict(line.split("\t") for line in output.splitlines())
    for endpoint, wanted in expected.items():
        found = reached.get(endpoint, "not tried")
        report.expect(endpoint, found, holds=found == wanted)


def load_pod(name: str, role: str | None = None) -> dict[str, Any]:
    """Read a pod of the demo; `role` replaces the one in the file."""
    pod: dict[str, Any] = yaml.safe_load((HERE / "manifests" / f"{name}.yaml").read_text())
    if role:
        pod["metadata"]["annotations"][ROLE_ANNOTATION] = role
    return pod


def run_all(report: Report) -> None:
    """Run the three pods one after another, so that they do not slow each other down."""
    began = time.monotonic()
    with open_demo_node() as demo_node:
        print(f"A node, after {time.monotonic() - began:.1f} s")
        report.print_line("metadata service", f"of role {demo_node.node_role}, on {', '.join(IMDS_ENDPOINTS)}")
        report.print_line(
            "also on the node", f"an STS (moto) at {STS_URL}, podrole's webhook at {demo_node.webhook.url}"
        )
        report.print_line("securityContext", describe_limitations(single_user=demo_node.node.single_user))
        node_session = f":assumed-role/{demo_node.node_role}/{NODE_SESSION}"
        everywhere = dict.fromkeys(IMDS_ENDPOINTS, demo_node.node_role)
        run_pod(report, demo_node, load_pod("plain"), Expected(node_session, everywhere))
        role = f"reader-{secrets.token_hex(2)}"
        own = {endpoint: role if endpoint.endswith(":80") else REFUSED for endpoint in IMDS_ENDPOINTS}
        run_pod(report, demo_node, load_pod("with-role", role), Expected(f":assumed-role/{role}/shop.with-role", own))
        nowhere = dict.fromkeys(IMDS_ENDPOINTS, REFUSED)
        run_pod(report, demo_node, load_pod("without-role"), Expected(None, nowhere))


def main() -> None:
    """Run the demo; exit with 1 if a check failed."""
    began = time.monotonic()
    report = Report()
    print("Starting a node, its services and the webhook ...", flush=True)
    try:
        run_all(report)
    except (RunnerError, ServiceError) as error:
        sys.exit(f"demo: {error}")
    result = f"{report.failures} checks FAILED" if report.failures else "All checks passed"
    print(f"\n{result} in {time.monotonic() - began:.1f} s.")
    sys.exit(1 if report.failures else 0)


if __name__ == "__main__":
    main()
