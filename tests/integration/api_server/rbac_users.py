"""People with few rights: a ServiceAccount, what it may do, and the kubeconfig that somebody would log in with."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.integration.api_server.api import ApiServer, load_configuration

Rule = dict[str, Any]


def create_person(api: ApiServer, namespace: str, rules: list[Rule], directory: Path) -> Path:
    """Make an account of the namespace with these rights in the whole cluster; give its kubeconfig.

    The rights are bound to the namespace's name, and deleted by `forget_person`.
    """
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "person"}}, namespace)
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": "person", "namespace": namespace}
    role = {"kind": "ClusterRole", "name": namespace, "apiGroup": group}
    _post(api, f"apis/{group}/v1/clusterroles", {"metadata": {"name": namespace}, "rules": rules})
    binding = {"metadata": {"name": namespace}, "subjects": [subject], "roleRef": role}
    _post(api, f"apis/{group}/v1/clusterrolebindings", binding)
    answer = _post(api, f"api/v1/namespaces/{namespace}/serviceaccounts/person/token", {"spec": {}})
    path = directory / "person.kubeconfig"
    path.write_text(yaml.safe_dump(_build_kubeconfig(api, answer["status"]["token"])))
    return path


def forget_person(api: ApiServer, namespace: str) -> None:
    """Take the rights away again; the account goes with its namespace."""
    for kind in ("clusterroles", "clusterrolebindings"):
        api.request("DELETE", f"{api.host}/apis/rbac.authorization.k8s.io/v1/{kind}/{namespace}", timeout=30)


def _post(api: ApiServer, path: str, body: Any) -> Any:
    headers = {"Content-Type": "application/json"}
    response = api.request("POST", f"{api.host}/{path}", body=json.dumps(body), headers=headers, timeout=30)
    assert response.status < 400, response.data
    return json.loads(response.data)


def _build_kubeconfig(api: ApiServer, token: str) -> Any:
    authority = load_configuration(api.kubeconfig).ssl_ca_cert
    assert urlsplit(api.host).scheme == "https"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": api.host, "certificate-authority": authority}}],
        "users": [{"name": "person", "user": {"token": token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "person"}}],
        "current-context": "c",
    }
