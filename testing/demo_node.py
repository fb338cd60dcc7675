"""The node of the demo and the tests, with EC2's metadata service, an STS and podrole's webhook on it."""

import secrets
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testing.admission import Webhook, webhook
from testing.pods import NODE_IPV4, Image, Node, Pod, build_image
from testing.services import programs
from testing.services.issuer import Issuer

HERE = Path(__file__).parent
ACCOUNT = "111122223333"
REGION = "eu-west-1"
STS_PORT = 5000
STS_URL = f"http://{NODE_IPV4}:{STS_PORT}"
NODE_SESSION = "i-0123456789abcdef0"
IMDS_ADDRESSES = ("169.254.169.254", "fd00:ec2::254")
IMDS_ENDPOINTS = ("169.254.169.254:80", "[fd00:ec2::254]:80", "169.254.169.254:8080")
"""Where the node's metadata service listens: where EC2's does, and on another port."""


@dataclass(frozen=True)
class DemoNode:
    """A node in network namespaces of its own, and what runs on it."""

    node: Node
    webhook: Webhook
    issuer: Issuer
    images: Mapping[str, Image]
    node_role: str

    def create_pod(self, pod: Mapping[str, Any], images: Mapping[str, Image] | None = None) -> Pod:
        """Create a pod on the node without starting it. The issuer signs its tokens, as an API server does."""
        metadata, spec = pod["metadata"], pod["spec"]
        subject = f"system:serviceaccount:{metadata['namespace']}:{spec.get('serviceAccountName', 'default')}"

        def mint(audience: str, seconds: int) -> str:
            return self.issuer.token(subject, audience, seconds)

        return self.node.pod(pod, images or self.images, token=mint)


@contextmanager
def open_demo_node() -> Iterator[DemoNode]:
    """Create the node and start the services on it."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="podrole-demo-")))
        node = stack.enter_context(Node())
        node_role = f"node-{secrets.token_hex(2)}"
        stack.enter_context(programs.sts(directory, NODE_IPV4, STS_PORT, popen=node.popen))
        (directory / "node.json").write_text(assume_node_role(node, node_role))
        for address in IMDS_ADDRESSES:
            node.add_address(address)
        stack.enter_context(programs.imds(directory, directory / "node.json", IMDS_ENDPOINTS, popen=node.popen))
        settings = {
            "PODROLE_SIDECAR_IMAGE": "podrole-sidecar",
            "PODROLE_REGION": REGION,
            "PODROLE_ACCOUNT_ID": ACCOUNT,
            "PODROLE_STS_ENDPOINT": STS_URL,
            "PODROLE_MANIFESTS": str(HERE / "manifests"),
        }
        injector = stack.enter_context(webhook(directory, NODE_IPV4, settings, popen=node.popen, run=node.run))
        image = build_image(HERE.parent, node.nft)
        images = {"podrole-sidecar": image, "app": image.with_binds({"/app/apps": HERE / "apps"})}
        yield DemoNode(node, injector, Issuer("https://issuer.demo"), images, node_role)


def assume_node_role(node: Node, role: str) -> str:
    """Get from the STS the credentials that EC2 gives its metadata service; JSON as `aws sts assume-role` prints it."""
    role_arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
    keys = ["AWS_ACCESS_KEY_ID=AKIADEMO", "AWS_SECRET_ACCESS_KEY=demo", f"AWS_DEFAULT_REGION={REGION}"]
    command = [str(Path(sys.executable).with_name("aws")), "--endpoint-url", STS_URL, "sts", "assume-role"]
    arguments = ["--role-arn", role_arn, "--role-session-name", NODE_SESSION]
    return node.run(["env", *keys, *command, *arguments]).stdout
