"""Creates the ServiceAccounts of the pods of tests/pods."""

import copy

from testing.cases import Case, Pod
from testing.cluster.api import ApiServer


def move_into(namespace: str, api: ApiServer, case: Case) -> Pod:
    """Create the ServiceAccount of a case in a namespace; return its pod there."""
    pod: Pod = copy.deepcopy(case.pod)
    pod["metadata"]["namespace"] = namespace
    metadata = {"annotations": dict(case.service_account.annotations if case.service_account else {})}
    if name := pod["spec"].get("serviceAccountName"):
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, **metadata}}
        api.create(account, namespace)
    else:
        api.patch(("ServiceAccount", "default"), {"metadata": metadata}, namespace)
    return pod
