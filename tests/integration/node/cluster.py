"""A cluster that runs pods: kubectl, logs, and diagnostics for failed tests."""

import json
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.cluster.api import wait_for
from testing.cluster.manifests import Kubectl, Manifest
from testing.cluster.private import PrivateCluster
from tests.integration.node.images import APP

POD_WITHIN_SECONDS = 180
"""Long, because the machine can be busy."""

AUDIT_TAIL_BYTES = 4_000_000
ENABLED = {"podrole.io/injection": "enabled"}
ENDED = ("Succeeded", "Failed")

KUBECTL_LOG = re.compile(r"^[IWEF]\d{4} .*\n?", re.MULTILINE)
"""A line of its log, such as `E1129 23:46:49.706337   25559 websocket.go:296] Unknown stream id 1`."""


@dataclass(frozen=True)
class Node:
    """A cluster with at least one node."""

    kubectl: Kubectl
    address: str
    """This machine's address, as pods reach it."""

    load: Sequence[str]
    """The command that loads an image archive into the nodes; the archive's path is appended."""

    environ: Mapping[str, str]
    private: PrivateCluster | None = None
    """Set if the cluster was started for this run."""

    def load_image(self, archive: Path) -> None:
        """Load an image into every node."""
        subprocess.run([*self.load, str(archive)], env=self.environ, check=True, capture_output=True, timeout=600)

    def run_on_node(self, *command: str) -> None:
        """Run a command on the node, which must be this machine."""
        if "CONTAINERD_ADDRESS" not in self.environ:
            pytest.skip("the node is not this machine")
        subprocess.run(command, env=self.environ, check=True, capture_output=True, timeout=60)

    def read(self, kind: str, name: str = "", namespace: str = "default") -> Manifest:
        """Read an object, or list all of them."""
        answer = self.kubectl.run(f"--namespace={namespace}", "get", kind, *filter(None, [name]), "--output=json")
        found: Manifest = json.loads(answer.output)
        return found

    def find(self, kind: str, name: str, namespace: str) -> Manifest | None:
        """Read an object, or return None if it does not exist."""
        answer = self.kubectl.try_run(f"--namespace={namespace}", "get", kind, name, "--output=json")
        return json.loads(answer.output) if answer.code == 0 else None

    def apply(self, manifest: Manifest, namespace: str) -> str:
        """Apply an object; return the warnings."""
        answer = self.kubectl.run(f"--namespace={namespace}", "apply", "-f", "-", stdin=yaml.safe_dump(manifest))
        return answer.errors

    def create_denied(self, manifest: Manifest, namespace: str) -> str:
        """Create an object that must be denied; return the API server's message."""
        answer = self.kubectl.try_run(f"--namespace={namespace}", "create", "-f", "-", stdin=yaml.safe_dump(manifest))
        assert answer.code != 0, f"it was created: {answer.output}"
        return answer.errors

    def run(self, script: str, namespace: str, **options: Any) -> str:
        """Run a script in a pod until it succeeds; return its output."""
        pod = build_pod(script, **options)
        self.apply(pod, namespace)
        return self.await_end(pod["metadata"]["name"], namespace)

    def await_end(self, name: str, namespace: str) -> str:
        """Wait until a pod succeeds; return its output."""

        def is_over() -> bool:
            return self.read("pod", name, namespace)["status"]["phase"] in ENDED

        wait_for(f"the end of pod {namespace}/{name}", is_over, POD_WITHIN_SECONDS)
        log = self.log(name, namespace)
        phase = self.read("pod", name, namespace)["status"]["phase"]
        assert phase == "Succeeded", f"pod {namespace}/{name} {phase}: {log}"
        return log

    def await_ready(self, target: str, namespace: str, condition: str = "condition=Ready") -> None:
        """Wait for a condition of a pod or another object."""
        self.kubectl.run(
            f"--namespace={namespace}", "wait", target, f"--for={condition}", f"--timeout={POD_WITHIN_SECONDS // 2}s"
        )

    def log(self, name: str, namespace: str, container: str = "app") -> str:
        """Return a container's output."""
        return self.kubectl.try_run(f"--namespace={namespace}", "logs", name, f"--container={container}").output

    def execute(self, name: str, namespace: str, *command: str, container: str = "app") -> str:
        """Run a command in a running container; return its output, without kubectl's own log."""
        where = [f"--namespace={namespace}", "exec", name, f"--container={container}"]
        answer = self.kubectl.try_run(*where, "--", *command)
        return answer.output + KUBECTL_LOG.sub("", answer.errors)

    def describe(self, namespace: str) -> str:
        """Describe the pods of a namespace: status, events, logs and patches."""
        parts = []
        for pod in self.read("pods", "", namespace)["items"]:
            name = pod["metadata"]["name"]
            parts.append(f"--- {namespace}/{name}: {json.dumps(pod.get('status', {}))[:3000]}")
            spec = pod["spec"]
            for container in [*spec.get("initContainers", []), *spec["containers"]]:
                parts.append(f"--- log of {name} {container['name']}")
                parts.append(self.log(name, namespace, container["name"])[-2000:])
        parts.append("--- events")
        parts.append(
            self.kubectl.try_run(f"--namespace={namespace}", "get", "events", "--sort-by=.lastTimestamp").output
        )
        parts += ["--- patches", *self.list_patches(namespace)]
        return "\n".join(parts)

    def list_patches(self, namespace: str) -> list[str]:
        """List the latest patches in the audit log, if this machine has it."""
        if self.private is None:
            return []
        file = self.private.data / "data" / "log" / "audit.log"
        with file.open("rb") as log:
            log.seek(max(0, file.stat().st_size - AUDIT_TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()[1:]
        events = [json.loads(line) for line in lines if f'"{namespace}"' in line and "podrole-injector" in line]
        return [json.dumps(event.get("annotations", {}))[:3000] for event in events][-5:]


def build_pod(
    script: str,
    *,
    name: str = "app",
    role: str | None = None,
    account: str = "default",
    metadata: Mapping[str, Any] | None = None,
    **spec: Any,
) -> Manifest:
    """Build a pod whose container runs a shell script once."""
    annotations = {} if role is None else {"iam.amazonaws.com/role": role}
    more = dict(metadata or {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **more, "annotations": {**annotations, **more.get("annotations", {})}},
        "spec": {
            "serviceAccountName": account,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [build_container(script)],
            **spec,
        },
    }


def build_container(script: str, name: str = "app", **fields: Any) -> Manifest:
    """Build a container of the tests' app image that runs a shell script."""
    return {"name": name, "image": APP, "command": ["/bin/sh", "-c", script], **fields}


def build_workload(kind: str, pod: Manifest, **fields: Any) -> Manifest:
    """Build a Deployment, StatefulSet, DaemonSet or Job of a pod."""
    metadata = {**pod["metadata"], "labels": {"app": pod["metadata"]["name"]}}
    del metadata["name"]
    spec = dict(pod["spec"])
    selector = {"selector": {"matchLabels": metadata["labels"]}}
    if kind != "Job":
        spec.pop("restartPolicy")
    return {
        "apiVersion": "batch/v1" if kind == "Job" else "apps/v1",
        "kind": kind,
        "metadata": {"name": pod["metadata"]["name"]},
        "spec": {**({} if kind == "Job" else selector), "template": {"metadata": metadata, "spec": spec}, **fields},
    }


def python(program: str) -> str:
    """Build the shell command that runs a Python program."""
    return f"python3 -c {shlex.quote(program)}"


def measure(action: Callable[[], object]) -> float:
    """Measure the seconds that an action takes."""
    begin = time.monotonic()
    action()
    return time.monotonic() - begin
