"""`make demo`: three pods on one machine, and the identity that each ends up with. No cluster and no AWS account."""

import secrets
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

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
    """What must be true of a pod in the end."""

    identity: str | None
    """The end of the ARN that AWS sees, or None if there must be none."""

    reached: dict[str, str]
    """The role that each endpoint of the node's metadata service lists, or what keeps it away."""


class Story:
    """Prints what happens, and remembers what was not as it must be."""

    def __init__(self) -> None:
        self.broken = 0

    def tell(self, title: str, text: str) -> None:
        """Print one line, or a few where it is long."""
        indented = textwrap.fill(
            text, WIDTH, initial_indent=f"  {title:<21} ", subsequent_indent=" " * 24, break_on_hyphens=False
        )
        print(indented, flush=True)

    def expect(self, title: str, found: str, *, holds: bool) -> None:
        """Print one line with a mark for whether it is as it must be."""
        self.broken += not holds
        self.tell(title, f"{'ok ' if holds else 'NO '} {found}")


def play(story: Story, stage: DemoNode, pod: dict[str, Any], expected: Expected) -> None:
    """Create one pod as the API server and the kubelet do, and hold what comes out against what must."""
    metadata = pod["metadata"]
    print(f"\nPod {metadata['namespace']}/{metadata['name']}")
    admitted = stage.webhook.admit(pod)
    story.tell("webhook", f"in {admitted.seconds * 1000:.1f} ms, {describe_patch(pod, admitted)}")
    with stage.place(admitted.pod) as running:
        running.start()
        story.tell("start", ", ".join(f"{step} {seconds:.2f} s" for step, seconds in running.timings.items()))
        for app in ("aws-cli", "boto3", "reach"):
            running.container(app).wait(timeout_seconds=30)
        for app in ("aws-cli", "boto3"):
            tell_identity(story, app, running.logs(app).strip(), expected.identity)
        tell_reach(story, running.logs("reach"), expected.reached)


def describe_patch(before: dict[str, Any], admitted: Admitted) -> str:
    """Say what was added, by names."""
    if not admitted.patch:
        return "allowed as it came"
    spec = admitted.pod["spec"]
    kinds = {None: "init container", "Always": "sidecar"}
    added = [f"{kinds[added.get('restartPolicy')]} {added['name']}" for added in spec["initContainers"]]
    old = {container["name"]: container.get("env") or [] for container in before["spec"]["containers"]}
    variables: dict[str, list[str]] = {}
    for container in spec["containers"]:
        for variable in container.get("env") or []:
            if variable not in old[container["name"]]:
                variables.setdefault(f"{variable['name']}={variable['value']}", []).append(container["name"])
    everywhere = [variable for variable, names in variables.items() if set(names) == set(old)]
    somewhere = [f"{variable} in {', '.join(names)}" for variable, names in variables.items() if set(names) != set(old)]
    return f"added {'; '.join([*added, *somewhere])}" + (
        f"; to all others {', '.join(everywhere)}" if everywhere else ""
    )


def tell_identity(story: Story, app: str, output: str, expected: str | None) -> None:
    """Print who the app is for AWS."""
    last = output.splitlines()[-1] if output else "(printed nothing)"
    holds = "Unable to locate credentials" in last if expected is None else last.endswith(expected)
    story.expect(app, last, holds=holds)


def tell_reach(story: Story, output: str, expected: dict[str, str]) -> None:
    """Print what answers where the node's metadata service is."""
    reached = dict(line.split("\t") for line in output.splitlines())
    for endpoint, wanted in expected.items():
        found = reached.get(endpoint, "not asked")
        story.expect(endpoint, found, holds=found == wanted)


def load_pod(name: str, role: str | None = None) -> dict[str, Any]:
    """Read a pod of the demo, with another role than the file's if it has one."""
    pod: dict[str, Any] = yaml.safe_load((HERE / "manifests" / f"{name}.yaml").read_text())
    if role:
        pod["metadata"]["annotations"][ROLE_ANNOTATION] = role
    return pod


def tell_all(story: Story) -> None:
    """Run the three pods, one after the other, so that each line's time is its own."""
    began = time.monotonic()
    with open_demo_node() as stage:
        print(f"A node, after {time.monotonic() - began:.1f} s")
        story.tell("metadata service", f"of role {stage.node_role}, on {', '.join(IMDS_ENDPOINTS)}")
        story.tell("and beside it", f"an STS (moto) at {STS_URL}, podrole's webhook at {stage.webhook.url}")
        story.tell("securityContext", describe_limitations(single_user=stage.node.single_user))
        node_session = f":assumed-role/{stage.node_role}/{NODE_SESSION}"
        everywhere = dict.fromkeys(IMDS_ENDPOINTS, stage.node_role)
        play(story, stage, load_pod("plain"), Expected(node_session, everywhere))
        role = f"reader-{secrets.token_hex(2)}"
        own = {endpoint: role if endpoint.endswith(":80") else REFUSED for endpoint in IMDS_ENDPOINTS}
        play(story, stage, load_pod("with-role", role), Expected(f":assumed-role/{role}/shop.with-role", own))
        nowhere = dict.fromkeys(IMDS_ENDPOINTS, REFUSED)
        play(story, stage, load_pod("without-role"), Expected(None, nowhere))


def main() -> None:
    """Tell the story; exit with 1 if anything in it is not as it must be."""
    began = time.monotonic()
    story = Story()
    print("Starting a node, its services and the webhook ...", flush=True)
    try:
        tell_all(story)
    except (RunnerError, ServiceError) as error:
        sys.exit(f"demo: {error}")
    print(f"\n{'As it must be' if not story.broken else f'{story.broken} lines are NOT as they must be'}.", end=" ")
    print(f"All in {time.monotonic() - began:.1f} s.")
    sys.exit(1 if story.broken else 0)


if __name__ == "__main__":
    main()
