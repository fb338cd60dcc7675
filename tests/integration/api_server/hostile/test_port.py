"""Requests to the webhook's port from somebody who is not the API server."""

import json
import subprocess
import sys

import pytest

from testing.hostile import reviews
from testing.hostile.good_tenant import User
from testing.hostile.installation import Installation
from testing.hostile.replica import Replica
from testing.repository import ROOT
from tests.integration.api_server.hostile.bounds import holding

ANSWERED = {0, 200, 400, 413, 429}
MAX_ANSWER_BYTES = 16 * 1024


@pytest.mark.parametrize("kind", reviews.BODIES)
def test_other_pods_are_created_in_time_while_a_client_sends_reviews_of(
    installation: Installation, replicas: list[Replica], good: User, kind: str
) -> None:
    # nice: elsewhere it would not share the CPUs of what it attacks
    argv = ["nice", "-n", "10", sys.executable, "-m", reviews.__name__, kind, str(installation.port)]

    with holding(good, replicas, installation):
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr[-2000:]
    answers = json.loads(done.stdout)
    assert {status for status, _ in answers} <= ANSWERED
    assert max(length for _, length in answers) <= MAX_ANSWER_BYTES
