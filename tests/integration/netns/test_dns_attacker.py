"""An attacker who answers at the address of STS, as one does who controls the pod's DNS or `hostAliases`.

Over TLS the attacker gets no token: tests/integration/sidecar/test_sts_differential_tls.py has the certificates.
"""

import subprocess
import sys

from testing.cases import CONFIG, ENABLED, UNANNOTATED, Case
from testing.demo_node import DemoNode
from testing.pods import NODE_IPV4
from tests.integration.netns.conftest import HERE, stop
from tests.waiting_app import POD

PORT = 8383


def test_plain_http_endpoint_sends_the_token_to_an_attacker(demo_node: DemoNode) -> None:
    config = CONFIG._replace(sidecar_image="podrole-sidecar", sts_endpoint=f"http://{NODE_IPV4}:{PORT}")
    command = [sys.executable, str(HERE / "record.py"), NODE_IPV4, str(PORT)]
    attacker = demo_node.node.popen(command, stdout=subprocess.PIPE)
    assert attacker.stdout
    assert attacker.stdout.readline() == b"ready\n"

    with demo_node.create_pod(Case(POD, ENABLED, UNANNOTATED).inject(config)) as pod:
        pod.start()

    stop(attacker)
    received = attacker.stdout.read()
    attacker.stdout.close()
    assert b"WebIdentityToken=ey" in received
