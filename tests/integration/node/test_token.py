"""A refresh uses the token that the kubelet renewed.

The shortest token lifetime is ten minutes, and the kubelet renews tokens after eight. The pod is created at the start,
so that its token expires while other tests run.
"""

import base64
import json
import time

from testing.cluster.api import wait_for
from tests.integration.node.cluster import Node
from tests.integration.node.conftest import READ_TOKEN
from tests.integration.node.test_outages import CREDENTIALS, SIDECAR, kill_sidecar, read_restarts, read_status

DELETE_STATE = (
    "import os, pathlib, sidecar.credentials.state_file; "
    "pathlib.Path(os.environ['PODROLE_RUN_DIRECTORY'], sidecar.credentials.state_file.FILE_NAME).unlink()"
)
"""Deletes the saved state, so that the next process calls STS."""


def read_expiry(token: str) -> int:
    """Read the expiry of a token, in seconds since 1970."""
    body = token.split(".")[1]
    expiry: int = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["exp"]
    return expiry


def test_refresh_after_token_expiry_uses_the_renewed_token(installed: Node, aging: tuple[str, str]) -> None:
    namespace, first = aging
    wait_for("the first token's end", lambda: time.time() > read_expiry(first), 660)
    before = installed.execute("app", namespace, "python3", "-c", CREDENTIALS)

    installed.execute("app", namespace, "python3", "-c", DELETE_STATE, container=SIDECAR)
    kill_sidecar(installed, namespace)
    wait_for("the restart", lambda: read_restarts(installed, namespace) == 1, 60)
    wait_for("credentials", lambda: read_status(installed, namespace).get("state") == "serving", 60)
    after = installed.execute("app", namespace, "python3", "-c", CREDENTIALS)
    renewed = installed.execute("app", namespace, "python3", "-c", READ_TOKEN, container=SIDECAR)

    print(before, after, read_expiry(renewed) - read_expiry(first))
    assert after != before
    assert read_expiry(renewed) > time.time()
