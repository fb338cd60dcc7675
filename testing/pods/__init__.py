"""Runs a Kubernetes pod as processes on this machine, without a cluster.

    with Node() as node, node.pod(pod, {"app": build_image(Path.cwd(), node.nft)}) as running:
        running.start()
        print(running.logs("app"))

Network namespace, mounts, environment, capabilities, no_new_privs, container order and postStart hooks are as in a
real pod. `describe_limitations` lists what is not. Import only this package, not its modules.
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
    """A node for pods in its own namespaces. Everything on it ends with it."""

    nft = "/run/podrole/nft"
    """Path on the node of an nft with the file capability that it has in the sidecar's image."""

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
        """Create a pod on this node without starting it. `images` maps the containers' image names.

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
        """Add an address to the node that every pod can reach, for example 169.254.169.254."""
        add_address(self, address)

    def close(self) -> None:
        """Stop everything on the node and remove its files."""
        super().close()
        self._files.close()

    def _install_nft(self) -> None:
        """Use a new tmpfs: the temporary directory can be mounted nosuid, which disables file capabilities."""
        nft = shutil.which("nft", path=SEARCH_PATH)
        self.run(["install", "-D", "-m", "755", str(nft), self.nft])
        self.run(["setcap", "cap_net_admin+ep", self.nft])
