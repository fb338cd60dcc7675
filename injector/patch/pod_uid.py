"""The variable with the pod's uid, and the path of the container credentials, which contains the uid.

A pod has no uid yet when the webhook sees it: the kubelet sets the variable when it starts the container.
https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
"""

import contract
from injector.k8s.objects import Object

POD_UID_FIELD = "metadata.uid"
FIELD_REF = {"fieldPath": POD_UID_FIELD}
POD_UID = {"name": contract.ENV_POD_UID, "valueFrom": {"fieldRef": FIELD_REF}}

CREDENTIALS_PATH = f"{contract.CREDENTIALS_PATH}/$({contract.ENV_POD_UID})"
"""The kubelet expands only variables that come earlier in `env`.

https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""


def is_addition(variable: Object, name: str, recorded: str) -> bool:
    """Whether it is what podrole added: `recorded` is its value, or the field of POD_UID."""
    if name == contract.ENV_POD_UID:
        return recorded == POD_UID_FIELD and is_pod_uid(variable)
    return bool(variable == {"name": name, "value": recorded})


def is_pod_uid(variable: Object) -> bool:
    """Whether it is POD_UID. The API server adds `apiVersion: v1` to the field."""
    source = variable.get("valueFrom")
    field = source.get("fieldRef") if isinstance(source, dict) and len(source) == 1 else None
    return (
        variable.get("name") == contract.ENV_POD_UID
        and isinstance(field, dict)
        and field in (FIELD_REF, {"apiVersion": "v1", **FIELD_REF})
    )


def describe_addition(variable: Object) -> str:
    """Return the variable's value, or the field of POD_UID."""
    return POD_UID_FIELD if variable["name"] == contract.ENV_POD_UID else str(variable["value"])
