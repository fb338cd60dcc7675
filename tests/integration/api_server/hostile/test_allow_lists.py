"""Allow-lists of a namespace that cost much to compile. Each round has another value, so that no cache helps."""

import pytest

from testing.cluster.pods import build_pod
from testing.hostile.good_tenant import User
from testing.hostile.installation import Installation
from testing.hostile.objects import build_allow_lists
from testing.hostile.replica import Replica
from tests.integration.api_server.hostile.bounds import attack, check_answers, holding

ROUNDS = 12
NONE: dict[str, None] = {"iam.amazonaws.com/allowed-roles": None, "iam.amazonaws.com/permitted": None}


@pytest.mark.parametrize("kind", build_allow_lists(0))
def test_other_pods_are_created_in_time_while_a_namespace_has_allow_lists_of(
    installation: Installation, replicas: list[Replica], good: User, hostile: User, kind: str
) -> None:
    answers = []
    with holding(good, replicas, installation):
        for seed in range(ROUNDS):
            annotations = {"annotations": {**NONE, **build_allow_lists(seed)[kind]}}
            hostile.api.patch(("Namespace", hostile.namespace), {"metadata": annotations})
            answers += attack([lambda: hostile.api.create(build_pod(), hostile.namespace, dry_run=True)] * 4)
    hostile.api.patch(("Namespace", hostile.namespace), {"metadata": {"annotations": NONE}})

    check_answers(answers)
