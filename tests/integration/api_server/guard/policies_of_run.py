"""Installs the policies about pods for the namespaces of one test run, beside other installations in the cluster."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from testing.cluster.api import ApiServer
from tests.integration.api_server.guard.policies import PODS_POLICY, fill_in, load_policies

POLICIES = {PODS_POLICY, "podrole-updates", "podrole-ephemeral-containers"}


@contextmanager
def guard_of_run(api: ApiServer, run_label: Mapping[str, str], settings: Mapping[str, str]) -> Iterator[None]:
    """Check the pods in namespaces with this label until the block ends."""
    suffix = next(iter(run_label.values()))
    made = []
    for manifest in load_policies():
        if manifest["metadata"]["name"] not in POLICIES:
            continue
        own = copy.deepcopy(manifest)
        own["metadata"] = {"name": f"{manifest['metadata']['name']}-{suffix}"}
        if manifest["kind"] == "ValidatingAdmissionPolicyBinding":
            own["spec"]["policyName"] += f"-{suffix}"
            own["spec"]["matchResources"] = {"namespaceSelector": {"matchLabels": dict(run_label)}}
        elif manifest["metadata"]["name"] == PODS_POLICY:
            own = fill_in(own, dict(settings))
        api.create(own)
        made.append((own["kind"], own["metadata"]["name"]))
    try:
        yield
    finally:
        for kind, name in reversed(made):
            api.delete(kind, name)
