"""Pods that cost the webhook much: sent in a dry run, which needs no more than permission to create pods."""

import pytest

from testing.hostile.good_tenant import User
from testing.hostile.installation import Installation
from testing.hostile.objects import LONG_ANNOTATIONS, WIDE_PODS
from testing.hostile.replica import Replica
from tests.integration.api_server.hostile.bounds import attack, check_answers, holding

AT_ONCE = 2
"""The API server itself needs seconds for some of them."""

PODS = {**LONG_ANNOTATIONS, **WIDE_PODS}


@pytest.mark.parametrize("kind", PODS)
def test_other_pods_are_created_in_time_while_a_user_sends_pods_with(
    installation: Installation, replicas: list[Replica], good: User, hostile: User, kind: str
) -> None:
    pod = PODS[kind]()

    with holding(good, replicas, installation):
        answers = attack([lambda: hostile.api.create(pod, hostile.namespace, dry_run=True)] * AT_ONCE)

    check_answers(answers)
