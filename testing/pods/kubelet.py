"""Runs a pod's containers in the kubelet's order: init containers, native sidecars with their hooks, then the app."""

import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from testing.pods.bundles import Sandbox, build_config
from testing.pods.containers import Container
from testing.pods.errors import PodError
from testing.pods.images import Image
from testing.pods.networks import PodNetwork
from testing.pods.volumes import VolumeSources, replace_file, write_volume

REFUSED_POD_FIELDS = (
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "shareProcessNamespace",
    "ephemeralContainers",
    "hostAliases",
    "dnsConfig",
)


class Pod:
    """A pod on a node. Leaving the context removes it, as `kubectl delete pod --force` does."""

    def __init__(
        self, network: PodNetwork, directory: Path, images: Mapping[str, Image], sources: VolumeSources
    ) -> None:
        self.network = network
        self.manifest = sources.pod
        """The pod with its name, uid and status."""
        self.timings: dict[str, float] = {}
        """Seconds per step: container name (init containers: until they end) or `NAME postStart`."""
        self._node = network.node
        self._directory = directory / network.name
        self._sources = sources
        self._started: list[str] = []
        check_pod(self.manifest)
        self._specs = {spec["name"]: spec for spec in self._all_specs()}
        self._sandbox = self._build_sandbox()
        self._containers = {name: self._build_container(spec, images) for name, spec in self._specs.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remove()

    def start(self, timeout_seconds: float = 60) -> None:
        """Start all containers in the kubelet's order: init containers and native sidecars, then the app.

        Before the next one starts, an init container must exit with 0 and a sidecar's postStart hook must end.
        `timeout_seconds` bounds each step. https://kubernetes.io/docs/concepts/workloads/pods/init-containers/
        """
        self._write_volumes()
        for spec in self.manifest["spec"].get("initContainers") or []:
            if spec.get("restartPolicy") == "Always":
                self._start(spec["name"], timeout_seconds)
            else:
                self._run_to_end(spec["name"], timeout_seconds)
        for spec in self.manifest["spec"]["containers"]:
            self._start(spec["name"], timeout_seconds)

    def container(self, name: str) -> Container:
        """The container with this name."""
        if name not in self._containers:
            raise PodError(f"no container {name} in the pod; it has: {', '.join(self._containers)}")
        return self._containers[name]

    def logs(self, name: str) -> str:
        """The output of the container's current run."""
        return self.container(name).output

    def exec(self, name: str, argv: Sequence[str], timeout_seconds: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a command in a running container."""
        return self.container(name).exec(argv, timeout_seconds)

    def restart(self, name: str, timeout_seconds: float = 60) -> None:
        """Restart a container with its hook, as the kubelet does after it has ended; /dev/shm is kept."""
        self.container(name).kill()
        self._start(name, timeout_seconds)

    def write_token(self, volume: str, token: str) -> None:
        """Replace the token of a projected volume while containers run, as the kubelet does."""
        volumes = self.manifest["spec"].get("volumes") or []
        projected = [spec["projected"] for spec in volumes if spec["name"] == volume and "projected" in spec]
        sources = [source for projection in projected for source in projection["sources"]]
        paths = [source["serviceAccountToken"]["path"] for source in sources if "serviceAccountToken" in source]
        if not paths:
            raise PodError(f"no volume {volume} with a serviceAccountToken in the pod")
        replace_file(self._volumes / volume / paths[0], token)

    def stop(self, grace_seconds: float = 30) -> None:
        """Stop the app, then the native sidecars in reverse order."""
        for name in reversed(self._started):
            self._containers[name].terminate(grace_seconds)

    def remove(self) -> None:
        """Kill running containers and remove the pod's network."""
        for name in self._started:
            self._containers[name].kill()
        self.network.remove()

    @property
    def _volumes(self) -> Path:
        return self._directory / "volumes"

    def _all_specs(self) -> Iterator[dict[str, Any]]:
        yield from self.manifest["spec"].get("initContainers") or []
        yield from self.manifest["spec"]["containers"]

    def _build_sandbox(self) -> Sandbox:
        shared_memory = f"/run/pods/{self.network.name}/shm"
        self._node.run(["mkdir", "-p", shared_memory])
        self._node.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=1777,nosuid,nodev", "shm", shared_memory])
        names = [volume["name"] for volume in self.manifest["spec"].get("volumes") or []]
        return Sandbox(
            pod=self.manifest,
            network_namespace=self.network.path,
            shared_memory=shared_memory,
            volumes={name: str(self._volumes / name) for name in names},
            single_user=self._node.single_user,
        )

    def _build_container(self, spec: Mapping[str, Any], images: Mapping[str, Image]) -> Container:
        image = images.get(spec["image"])
        if image is None:
            raise PodError(f"container {spec['name']}: no image {spec['image']}; there are: {', '.join(images)}")
        config = build_config(spec, image, self._sandbox)
        return Container(self._node, self._directory / spec["name"], config, image)

    def _write_volumes(self) -> None:
        for volume in self.manifest["spec"].get("volumes") or []:
            write_volume(volume, self._volumes / volume["name"], self._sources)

    def _start(self, name: str, timeout_seconds: float) -> None:
        begin = time.monotonic()
        if name not in self._started:
            self._started.append(name)
        self._containers[name].start(timeout_seconds)
        self.timings[name] = time.monotonic() - begin
        hook = ((self._specs[name].get("lifecycle") or {}).get("postStart") or {}).get("exec")
        if hook:
            begin = time.monotonic()
            self._run_hook(self._containers[name], hook["command"], timeout_seconds)
            self.timings[f"{name} postStart"] = time.monotonic() - begin

    def _run_hook(self, container: Container, command: Sequence[str], timeout_seconds: float) -> None:
        """Run a postStart hook; if it fails, stop the container.

        https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/
        """
        try:
            result = container.exec(command, timeout_seconds)
            reason = f"ended with {result.returncode}: {result.stderr or result.stdout}"
        except subprocess.TimeoutExpired:
            result, reason = None, f"did not end within {timeout_seconds} s"
        if result is None or result.returncode:
            code = container.kill()
            raise PodError(
                f"postStart hook of {container.name} {reason.strip()}\n"
                f"The container ended with {code} and wrote:\n{container.output}"
            )

    def _run_to_end(self, name: str, timeout_seconds: float) -> None:
        begin = time.monotonic()
        container = self._containers[name]
        self._started.append(name)
        container.start(timeout_seconds)
        try:
            code = container.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            container.kill()
            raise PodError(
                f"init container {name} did not end within {timeout_seconds} s and wrote:\n{container.output}"
            ) from None
        self.timings[name] = time.monotonic() - begin
        if code:
            raise PodError(f"init container {name} ended with {code}:\n{container.output}")


def name_pod(pod: Mapping[str, Any]) -> dict[str, Any]:
    """Add what the API server fills in: a name from generateName, namespace, uid, ServiceAccount."""
    identifier = str(uuid.uuid4())
    metadata = dict(pod["metadata"])
    metadata.setdefault("name", f"{metadata.get('generateName', 'pod-')}{identifier[-5:]}")
    defaults = {"namespace": "default", "uid": identifier}
    spec = {"serviceAccountName": "default", "nodeName": "node", **pod["spec"]}
    return {**pod, "metadata": {**defaults, **metadata}, "spec": spec}


def check_pod(pod: Mapping[str, Any]) -> None:
    """Raise PodError for fields that would silently be ignored."""
    for field in REFUSED_POD_FIELDS:
        if pod["spec"].get(field):
            raise PodError(f"spec.{field} is not supported here: remove it")
    for container in [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]:
        for hook, action in (container.get("lifecycle") or {}).items():
            if hook != "postStart" or "exec" not in action:
                raise PodError(
                    f"container {container['name']}: lifecycle.{hook}: only postStart with exec is supported"
                )
