"""Installs the policies of the guard, and the one about pods for each configuration of the injector."""

import copy
import re
import zlib
from collections.abc import Mapping
from typing import Any

import yaml

from contract.settings import list_settings
from injector.config import Config
from testing.cases import ENVIRON
from testing.cluster.api import ApiServer, RefusedError, wait_for
from testing.cluster.namespaces import ENABLED, Namespaces
from testing.cluster.pods import build_pod
from testing.repository import ROOT

FOLDERS = (ROOT / "kustomize/base/guard", ROOT / "kustomize/components/guard-exec")
KINDS = ("ClusterRole", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
OUTCOMES = ROOT / "tests/unit/injector/decision/outcomes.yaml"
PODS_POLICY = "podrole-pods"
GUARD_SETTINGS = {
    "sidecarImage": "PODROLE_SIDECAR_IMAGE",
    "imageRewrites": "PODROLE_IMAGE_REWRITES",
    "allowOverrides": "PODROLE_ALLOW_OVERRIDES",
    "podsWithoutRole": "PODROLE_PODS_WITHOUT_ROLE",
    "mode": "PODROLE_MODE",
    "envRuntimeClasses": "PODROLE_ENV_RUNTIME_CLASSES",
    "credentialSource": "PODROLE_CREDENTIAL_SOURCE",
    "template": "PODROLE_TEMPLATE",
    "nodeAccessRequiresUsers": "PODROLE_NODE_ACCESS_REQUIRES_USERS",
}
"""The policy's variable: the injector's setting."""

SETTINGS_LABEL = "example.com/podrole-settings"
"""The label of a namespace that chooses the settings of its guard."""

Settings = dict[str, str]


def build_settings(changes: Mapping[str, Any]) -> Settings:
    """The settings of an injector with these fields of its configuration changed, as a ConfigMap has them."""
    fields = list_settings(Config)
    variables = {fields[name].variable: _format(value) for name, value in changes.items()}
    return {key: value for key, value in {**ENVIRON, **variables}.items() if value is not None}


def _format(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(sorted(value)) if isinstance(value, list) else value


def read_rows() -> list[dict[str, Any]]:
    """The outcome table."""
    rows: list[dict[str, Any]] = yaml.safe_load(OUTCOMES.read_text())
    return rows


def name_settings(changes: Mapping[str, Any]) -> str:
    """A name for a configuration, for labels and objects."""
    parts = [f"{key}-{_format(value) or 'none'}" for key, value in sorted(changes.items())]
    name = re.sub(r"[^a-z0-9]+", "-", "-".join(parts)) or "default"
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 9]}-{zlib.crc32(name.encode()):08x}"


def list_variants() -> dict[str, Settings]:
    """Every configuration of the outcome table and of the tests, by name."""
    extra: list[dict[str, Any]] = [
        {"redirect_backend": "iptables"},
        UNSAFE,
        NODE,
        {"template": "/template/template.yaml"},
        REWRITES,
    ]
    changes = [{}, *(row.get("config", {}) for row in read_rows()), *extra]
    return {name_settings(change): build_settings(change) for change in changes}


MAX_NAME = 48
"""Characters, so that a name with an addition is still a label's value."""

REWRITES: dict[str, Any] = {"image_rewrites": "other/=mirror.example/other/,example/=mirror.example/hub/"}
NODE: dict[str, Any] = {"credential_source": "node"}
UNSAFE: dict[str, Any] = {
    "credential_source": "node",
    "allow_overrides": ["metadata-passthrough"],
    "node_access_requires_users": False,
}


def load_policies() -> list[dict[str, Any]]:
    """All manifests of the guard."""
    files = [file for folder in FOLDERS for file in sorted(folder.glob("*.yaml"))]
    documents = [document for file in files for document in yaml.safe_load_all(file.read_text())]
    return [document for document in documents if document.get("kind") in KINDS]


def fill_in(policy: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """The policy about pods with an injector's settings, as kustomize/components/names fills them in."""
    filled = copy.deepcopy(policy)
    for variable in filled["spec"]["variables"]:
        if setting := GUARD_SETTINGS.get(variable["name"]):
            variable["expression"] = f"'{settings.get(setting, '')}'"
    return filled


def install(api: ApiServer) -> None:
    """Create the policies, and wait until every binding refuses a pod. They take effect in the order of creation."""
    for manifest in sorted(load_policies(), key=_is_of_pods):
        if not _is_of_pods(manifest):
            api.create(manifest)
            continue
        for name, settings in list_variants().items():
            api.create(_name_after_settings(manifest, name, settings))
    _await_policies(api)


def _is_of_pods(manifest: dict[str, Any]) -> bool:
    return bool(manifest["metadata"]["name"] == PODS_POLICY)


def _name_after_settings(manifest: dict[str, Any], name: str, settings: Settings) -> dict[str, Any]:
    """The policy or binding for namespaces with the label of these settings."""
    own = copy.deepcopy(manifest)
    own["metadata"]["name"] = f"{PODS_POLICY}-{name}"
    if own["kind"] == "ValidatingAdmissionPolicy":
        return fill_in(own, settings)
    own["spec"]["policyName"] = own["metadata"]["name"]
    own["spec"]["matchResources"] = {"namespaceSelector": {"matchLabels": {SETTINGS_LABEL: name}}}
    return own


def _await_policies(api: ApiServer) -> None:
    """A policy takes effect after about a second."""
    with Namespaces(api, {}, has_controllers=False) as namespaces:
        for name in list_variants():
            namespace = namespaces.make(ENABLED | {SETTINGS_LABEL: name})

            def is_refused(namespace: str = namespace) -> bool:
                try:
                    api.create(build_pod(), namespace, dry_run=True)
                except RefusedError:
                    return True
                return False

            wait_for(f"the guard with the settings {name}", is_refused)
