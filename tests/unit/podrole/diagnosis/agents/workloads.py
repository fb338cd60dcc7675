"""kube2iam and Kiam as their documentation deploys them."""

from collections.abc import Mapping
from typing import Any

BASE = "arn:aws:iam::111122223333:role/"
HOST_IP = {"name": "HOST_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}


def build_workload(name: str, container: Mapping[str, Any], namespace: str = "kube-system") -> dict[str, Any]:
    """A DaemonSet or a Deployment as a list has it: without its kind."""
    spec = {"template": {"spec": {"hostNetwork": True, "containers": [container]}}}
    return {"metadata": {"namespace": namespace, "name": name}, "spec": spec}


def build_kube2iam(*args: str, namespace: str = "kube-system", **container: Any) -> dict[str, Any]:
    """kube2iam's DaemonSet."""
    given = {"name": "kube2iam", "image": "jtblin/kube2iam:0.15.0", "args": [*args], "env": [HOST_IP], **container}
    return build_workload("kube2iam", given, namespace)


def build_kiam(part: str, *args: str, **container: Any) -> dict[str, Any]:
    """The DaemonSet of Kiam's agent, or its server."""
    image = "quay.io/uswitch/kiam:v4.2"
    given = {"name": "kiam", "image": image, "command": ["/kiam", part], "args": [*args], "env": [HOST_IP]}
    return build_workload(f"kiam-{part}", {**given, **container})


def build_config_map(name: str, data: Mapping[str, str]) -> dict[str, Any]:
    """A ConfigMap beside them."""
    return {"metadata": {"namespace": "kube-system", "name": name}, "data": dict(data)}
