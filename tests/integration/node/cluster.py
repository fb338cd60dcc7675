"""A cluster that runs pods: kubectl, what a pod printed, and all that there is to know about one that went wrong."""

import json
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.api_server.api import wait_for
from tests.integration.api_server.private import PrivateCluster
from tests.integration.kustomize.manifests import Kubectl, Manifest
from tests.integration.node.images import APP

POD_WITHIN_SECONDS = 180
"""A machine that runs other tests too is slow."""

AUDIT_TAIL_BYTES = 4_000_000
ENABLED = {"podrole.io/injection": "enabled"}
ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Node:
    """A cluster with at least one node, and how images get to it."""

    kubectl: Kubectl
    address: str
    """Of this machine, as pods reach it."""

    load: Sequence[str]
    """The command that gives an image's archive to the nodes; its path is appended."""

    environ: Mapping[str, str]
    private: PrivateCluster | None = None
    """Set where the cluster is the run's own."""

    def load_image(self, archive: Path) -> None:
        """Have an image on every node."""
        subprocess.run([*self.load, str(archive)], env=self.environ, check=True, capture_output=True, timeout=600)

    def run_on_node(self, *command: str) -> None:
        """Run a command beside the kubelet, which must be on this machine."""
        if "CONTAINERD_ADDRESS" not in self.environ:
            pytest.skip("the node is not this machine")
        subprocess.run(command, env=self.environ, check=True, capture_output=True, timeout=60)

    def read(self, kind: str, name: str = "", namespace: str = "default") -> Manifest:
        """An object, or the list of all."""
        answer = self.kubectl.run(f"--namespace={namespace}", "get", kind, *filter(None, [name]), "--output=json")
        found: Manifest = json.loads(answer.output)
        return found

    def find(self, kind: str, name: str, namespace: str) -> Manifest | None:
        """An object, if it is there."""
        answer = self.kubectl.try_run(f"--namespace={namespace}", "get", kind, name, "--output=json")
        return json.loads(answer.output) if answer.code == 0 else None

    def apply(self, manifest: Manifest, namespace: str) -> str:
        """Create an object; give the warnings that came with it."""
        answer = self.kubectl.run(f"--namespace={namespace}", "apply", "-f", "-", stdin=yaml.safe_dump(manifest))
        return answer.errors

    def refuse(self, manifest: Manifest, namespace: str) -> str:
        """Try to create an object that is refused; give the API server's sentence."""
        answer = self.kubectl.try_run(f"--namespace={namespace}", "create", "-f", "-", stdin=yaml.safe_dump(manifest))
        assert answer.code != 0, f"it was created: {answer.output}"
        return answer.errors

    def run(self, script: str, namespace: str, **options: Any) -> str:
        """Run a script in a pod to its end, which must be a good one; give what it printed."""
        pod = build_pod(script, **options)
        self.apply(pod, namespace)
        return self.await_end(pod["metadata"]["name"], namespace)

    def await_end(self, name: str, namespace: str) -> str:
        """What a pod printed until it succeeded."""

        def is_over() -> bool:
            return self.read("pod", name, namespace)["status"]["phase"] in ENDED

        wait_for(f"the end of pod {namespace}/{name}", is_over, POD_WITHIN_SECONDS)
        log = self.log(name, namespace)
        phase = self.read("pod", name, namespace)["status"]["phase"]
        assert phase == "Succeeded", f"pod {namespace}/{name} {phase}: {log}"
        return log

    def await_ready(self, target: str, namespace: str, condition: str = "condition=Ready") -> None:
        """Wait for a pod, or another object, to be so."""
        self.kubectl.run(
            f"--namespace={namespace}", "wait", target, f"--for={condition}", f"--timeout={POD_WITHIN_SECONDS // 2}s"
        )

    def log(self, name: str, namespace: str, container: str = "app") -> str:
        """What a container printed."""
        return self.kubectl.try_run(f"--namespace={namespace}", "logs", name, f"--container={container}").output

    def execute(self, name: str, namespace: str, *command: str, container: str = "app") -> str:
        """What a command in a running container printed."""
        where = [f"--namespace={namespace}", "exec", name, f"--container={container}"]
        answer = self.kubectl.try_run(*where, "--", *command)
        return answer.output + answer.errors

    def tell(self, namespace: str) -> str:
        """All about the pods of a namespace: states, events, logs, and the patches that they were given."""
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
        """From the audit log, where this machine has it."""
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
    """A pod whose one container runs a shell script and is not started again."""
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
    """A container of the tests' app image that runs a shell script."""
    return {"name": name, "image": APP, "command": ["/bin/sh", "-c", script], **fields}


def build_workload(kind: str, pod: Manifest, **fields: Any) -> Manifest:
    """A Deployment, StatefulSet, DaemonSet or Job of such pods."""
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
    """A shell line that runs a Python program."""
    return f"python3 -c {shlex.quote(program)}"


def measure(action: Callable[[], object]) -> float:
    """Seconds that something took."""
    begin = time.monotonic()
    action()
    return time.monotonic() - begin
