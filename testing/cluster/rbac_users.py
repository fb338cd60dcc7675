"""Creates users with few permissions: a ServiceAccount, its RBAC rules and its kubeconfig."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from testing.cluster.api import ApiServer, load_configuration

Rule = dict[str, Any]


TOKEN_SECONDS = 3600


def create_user(
    api: ApiServer, namespace: str, rules: list[Rule], directory: Path, *, token_seconds: int = TOKEN_SECONDS
) -> Path:
    """Create a ServiceAccount with a ClusterRole of these rules; return the path of its kubeconfig.

    The ClusterRole and its binding have the namespace's name; `delete_user` deletes them.
    """
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "user"}}, namespace)
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": "user", "namespace": namespace}
    role = {"kind": "ClusterRole", "name": namespace, "apiGroup": group}
    _post(api, f"apis/{group}/v1/clusterroles", {"metadata": {"name": namespace}, "rules": rules})
    binding = {"metadata": {"name": namespace}, "subjects": [subject], "roleRef": role}
    _post(api, f"apis/{group}/v1/clusterrolebindings", binding)
    spec = {"spec": {"expirationSeconds": token_seconds}}
    answer = _post(api, f"api/v1/namespaces/{namespace}/serviceaccounts/user/token", spec)
    path = directory / "user.kubeconfig"
    path.write_text(yaml.safe_dump(build_kubeconfig(api, answer["status"]["token"])))
    return path


def delete_user(api: ApiServer, namespace: str) -> None:
    """Delete the user's ClusterRole and binding; its ServiceAccount is deleted with the namespace."""
    for kind in ("clusterroles", "clusterrolebindings"):
        api.request("DELETE", f"{api.host}/apis/rbac.authorization.k8s.io/v1/{kind}/{namespace}", timeout=30)


def _post(api: ApiServer, path: str, body: Any) -> Any:
    headers = {"Content-Type": "application/json"}
    response = api.request("POST", f"{api.host}/{path}", body=json.dumps(body), headers=headers, timeout=30)
    assert response.status < 400, response.data
    return json.loads(response.data)


def build_kubeconfig(api: ApiServer, token: str) -> Any:
    """The kubeconfig of whoever has this token."""
    ca = load_configuration(api.kubeconfig).ssl_ca_cert
    assert urlsplit(api.host).scheme == "https"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": api.host, "certificate-authority": ca}}],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "user"}}],
        "current-context": "c",
    }
