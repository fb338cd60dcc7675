"""Runs a Kubernetes pod as processes on one machine, without a cluster.

    with Node() as node, node.pod(pod, {"app": build_image(Path.cwd(), node.nft)}) as running:
        running.start()
        print(running.logs("app"))

Real are the network namespace, mounts, environment, capabilities, no_new_privs, the order of containers and their
postStart hooks; `describe_limitations` says what is not. This module is all that others need to import.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from testing.pods.containers import Container
from testing.pods.errors import CommandError, PodError, RunnerError, UnavailableError
from testing.pods.images import Image, build_image, build_system_image
from testing.pods.kubelet import Pod, name_pod
from testing.pods.namespaces import SEARCH_PATH, Namespaces
from testing.pods.networks import NODE_IPV4, NODE_IPV6, PodNetwork, add_address, add_bridge, add_network, has_ipv6
from testing.pods.security import describe_limitations
from testing.pods.volumes import VolumeSources, refuse_token

__all__ = [
    "NODE_IPV4",
    "NODE_IPV6",
    "CommandError",
    "Container",
    "Image",
    "Node",
    "Pod",
    "PodError",
    "PodNetwork",
    "RunnerError",
    "UnavailableError",
    "build_image",
    "build_system_image",
    "describe_limitations",
    "has_ipv6",
]


class Node(Namespaces):
    """A machine for pods, in namespaces of its own; everything on it ends with it."""

    nft = "/run/podrole/nft"
    """Path on the node of an nft with the file capability that the sidecar's image gives it."""

    def __init__(self) -> None:
        super().__init__()
        self._files = contextlib.ExitStack()
        self._directory = Path()
        self._pods = 0

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            directory = tempfile.TemporaryDirectory(prefix="podrole-node-", ignore_cleanup_errors=True)
            self._directory = Path(self._files.enter_context(directory))
            add_bridge(self)
            self._install_nft()
        except BaseException:
            self.close()
            raise
        return self

    def pod(
        self,
        pod: Mapping[str, Any],
        images: Mapping[str, Image],
        *,
        token: Callable[[str, int], str] = refuse_token,
        config_maps: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Pod:
        """Place a pod on this node, not yet started; `images` by the names that the pod's containers give.

        `token` mints a ServiceAccount token for (audience, seconds).
        """
        named = name_pod(pod)
        network = self.network(named["metadata"]["name"])
        shown = {**named, "status": {"podIP": network.ipv4, "hostIP": NODE_IPV4}}
        return Pod(network, self._directory, images, VolumeSources(shown, token, config_maps or {}))

    def network(self, name: str) -> PodNetwork:
        """A pod's network namespace without containers."""
        self._pods += 1
        return add_network(self, f"{self._pods}-{name}", self._pods)

    def add_address(self, address: str) -> None:
        """Give the node one more address, within reach of every pod: 169.254.169.254, for example."""
        add_address(self, address)

    def close(self) -> None:
        """End everything on the node and remove its files."""
        super().close()
        self._files.close()

    def _install_nft(self) -> None:
        """On a tmpfs of our own: a temporary directory may be mounted nosuid, which voids file capabilities."""
        nft = shutil.which("nft", path=SEARCH_PATH)
        self.run(["install", "-D", "-m", "755", str(nft), self.nft])
        self.run(["setcap", "cap_net_admin+ep", self.nft])
