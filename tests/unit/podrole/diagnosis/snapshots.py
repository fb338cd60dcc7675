"""What the diagnosis tests look at: an injected pod as an API server stored it, and a cluster where all is well."""

import copy
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from injector.certs.x509 import KeyPair, Lifetimes, build_names, issue_ca, issue_serving_cert
from podrole.diagnosis.snapshot import Snapshot
from podrole.findings import Finding, Section
from tests.unit.injector.cases import ENVIRON, Pod, add_api_defaults, build_case

NOW = 1_790_000_000.0
LIFETIMES = Lifetimes()
AUTHORITY = issue_ca(NOW, LIFETIMES)
SECRET = "podrole-system/podrole-injector-certs"
NAMES = build_names("podrole-injector", "podrole-system", "cluster.local")
CREATED = "2026-09-01T10:00:00Z"
LATER = "2026-09-02T10:00:00Z"
INJECTED = build_case().inject()
"""Made once: each injection reads the template anew."""


def build_running_pod(**spec: Any) -> Pod:
    """An injected pod that runs, with all that the API server, the ReplicaSet controller and the kubelet added."""
    pod = add_api_defaults(build_case(**spec).inject() if spec else copy.deepcopy(INJECTED))
    pod["metadata"] |= {
        "name": "web-7d4b9-x2x1k",
        "uid": "0f5c",
        "creationTimestamp": LATER,
        "labels": {"pod-template-hash": "7d4b9"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "web-7d4b9", "controller": True}],
    }
    pod["status"] = {
        "phase": "Running",
        "initContainerStatuses": [
            {"name": "podrole-redirect", "restartCount": 0, "state": {"terminated": {"exitCode": 0}}},
            {"name": "podrole-sidecar", "restartCount": 0, "state": {"running": {"startedAt": LATER}}},
        ],
    }
    return pod


def build_plain_pod(**spec: Any) -> Pod:
    """A pod that runs without anything of podrole's."""
    pod = add_api_defaults(build_case(**spec).pod)
    pod["metadata"] |= {"name": "web", "creationTimestamp": LATER}
    pod["status"] = {"phase": "Running"}
    return pod


def build_namespace(name: str = "team-a", **labels: str) -> dict[str, Any]:
    """A namespace with the label, or with others instead."""
    wanted = labels or {"podrole.io/injection": "enabled"}
    return {"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name, **wanted}}}


def build_bundle(*authorities: KeyPair) -> str:
    """A caBundle."""
    return b64encode("".join(pair.certificate.pem for pair in authorities).encode()).decode()


def build_webhook(name: str = "pods.podrole.io", **changes: Any) -> dict[str, Any]:
    """A webhook as podrole registers it, but for what is changed."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
    system = ["podrole-system", "kube-system", "kube-public", "kube-node-lease"]
    return {
        "name": name,
        "rules": [rule],
        "failurePolicy": "Fail",
        "reinvocationPolicy": "IfNeeded",
        "sideEffects": "None",
        "namespaceSelector": {
            "matchLabels": {"podrole.io/injection": "enabled"},
            "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": system}],
        },
        "clientConfig": {
            "caBundle": build_bundle(AUTHORITY),
            "service": {"namespace": "podrole-system", "name": "podrole-injector", "path": "/mutate"},
        },
        **changes,
    }


def build_configuration(*webhooks: Mapping[str, Any], name: str = "podrole-injector") -> dict[str, Any]:
    """A MutatingWebhookConfiguration."""
    return {"metadata": {"name": name, "creationTimestamp": CREATED}, "webhooks": [*webhooks]}


def build_deployment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The injector's Deployment, configured by plain variables."""
    env = [{"name": name, "value": value} for name, value in environ.items()]
    return {"spec": {"template": {"spec": {"containers": [{"name": "injector", "image": "x:1", "env": env}]}}}}


def build_node(
    version: str = "v1.34.4", *, system: str = "linux", cpu: str = "amd64", name: str = "n1"
) -> dict[str, Any]:
    """A node, as its kubelet reports it."""
    info = {"kubeletVersion": version, "operatingSystem": system, "architecture": cpu}
    return {"metadata": {"name": name}, "status": {"nodeInfo": info}}


SAFE = {**ENVIRON, "PODROLE_SIDECAR_IMAGE": "example/podrole-sidecar@sha256:" + "0" * 64}


def build_snapshot(unread: Mapping[str, str] | None = None, **changes: Iterable[Mapping[str, Any]]) -> Snapshot:
    """A cluster and a namespace where all is well, but for what is changed; names have `_` for `-`."""
    endpoints = [{"addresses": [f"10.0.0.{index}"], "targetRef": {"uid": str(index)}} for index in range(2)]
    objects: dict[str, Iterable[Mapping[str, Any]]] = {
        "version": [{"gitVersion": "v1.34.4"}],
        "webhooks": [build_configuration(build_webhook())],
        "deployment": [build_deployment(SAFE)],
        "config-maps": [],
        "namespace": [build_namespace()],
        "namespaces": [build_namespace()],
        "service-account": [{"metadata": {"name": "default"}}],
        "service-accounts": [],
        "events": [],
        "nodes": [build_node()],
        "daemon-sets": [],
        "limit-ranges": [],
        "resource-quotas": [],
        "certificate": [
            {"secret": SECRET, "pem": issue_serving_cert(AUTHORITY, NAMES, NOW, LIFETIMES).certificate.pem}
        ],
        "service": [{"metadata": {"name": "podrole-injector"}}],
        "endpoint-slices": [{"endpoints": endpoints}],
        "dry-runs": [{"namespace": "team-a", "pod": build_running_pod()}],
    }
    objects |= {name.replace("_", "-"): values for name, values in changes.items()}
    read = {name: tuple(copy.deepcopy([*values])) for name, values in objects.items() if name not in (unread or {})}
    return Snapshot(read, unread or {})


def list_findings(sections: Iterable[Section]) -> list[Finding]:
    """All findings in a row."""
    return [finding for section in sections for finding in section.findings]


def find_texts(findings: Iterable[Finding], code: str) -> list[str]:
    """What the findings of one code say."""
    return [finding.text for finding in findings if finding.code == code]


def list_concerns(findings: Iterable[Finding]) -> list[str]:
    """The codes of all that is not well."""
    return [finding.code for finding in findings if finding.level in {"unknown", "warning", "problem"}]
