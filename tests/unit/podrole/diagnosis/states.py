"""Builds the input of the diagnosis tests: pods as an API server stores them, and a cluster without a problem."""

import copy
import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import yaml

from injector.certs.x509 import KeyPair, Lifetimes, build_names, issue_ca, issue_serving_cert
from podrole.diagnosis.cluster.checks import diagnose_cluster
from podrole.diagnosis.installation.guard import POLICIES
from podrole.diagnosis.installation.guard_drift import SETTINGS
from podrole.diagnosis.pods.pod import diagnose_pod
from podrole.diagnosis.state.cluster import (
    ClusterState,
    DryRunResult,
    Installation,
    PodState,
    ProbeRun,
    ReadResult,
    StoredCertificate,
)
from podrole.diagnosis.state.installed_config import read_deployed_env
from podrole.findings import Finding, Section
from testing.cases import ENVIRON, Pod, add_api_defaults, build_case
from testing.cluster.manifests import KUSTOMIZE

NOW = 1_790_000_000.0
LIFETIMES = Lifetimes()
CA = issue_ca(NOW, LIFETIMES)
SECRET = "podrole-system/podrole-injector-certs"
NAMES = build_names("podrole-injector", "podrole-system", "cluster.local")
CREATED = "2026-09-01T10:00:00Z"
LATER = "2026-09-02T10:00:00Z"
INJECTED = build_case().inject()
"""Built once: each injection reads the template again."""


def build_running_pod(**spec: Any) -> Pod:
    """A running injected pod, with all that the API server, the ReplicaSet controller and the kubelet added."""
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
    """A running pod that was not injected."""
    pod = add_api_defaults(build_case(**spec).pod)
    pod["metadata"] |= {"name": "web", "creationTimestamp": LATER}
    pod["status"] = {"phase": "Running"}
    return pod


def build_namespace(name: str = "team-a", **labels: str) -> dict[str, Any]:
    """A namespace with podrole's label, or with other labels instead."""
    wanted = labels or {"podrole.io/injection": "enabled"}
    return {"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name, **wanted}}}


def build_bundle(*cas: KeyPair) -> str:
    """A caBundle."""
    return b64encode("".join(pair.certificate.pem for pair in cas).encode()).decode()


def build_webhook(name: str = "pods.podrole.io", **changes: Any) -> dict[str, Any]:
    """A webhook as podrole registers it, with changes."""
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
            "caBundle": build_bundle(CA),
            "service": {"namespace": "podrole-system", "name": "podrole-injector", "path": "/mutate"},
        },
        **changes,
    }


def build_configuration(*webhooks: Mapping[str, Any], name: str = "podrole-injector") -> dict[str, Any]:
    """A MutatingWebhookConfiguration."""
    return {"metadata": {"name": name, "creationTimestamp": CREATED}, "webhooks": [*webhooks]}


def build_warnings(**changes: Any) -> dict[str, Any]:
    """The ValidatingWebhookConfiguration of the webhook that warns, with changes."""
    client = {**build_webhook()["clientConfig"], "service": {"name": "podrole-injector"}}
    return build_configuration(
        build_webhook("workloads.podrole.io", **{"failurePolicy": "Ignore", "clientConfig": client, **changes})
    )


def build_deployment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The injector's Deployment, configured by environment variables."""
    env = [{"name": name, "value": value} for name, value in environ.items()]
    return {"spec": {"template": {"spec": {"containers": [{"name": "injector", "image": "x:1", "env": env}]}}}}


def build_node(
    version: str = "v1.34.4", *, system: str = "linux", cpu: str = "amd64", name: str = "n1"
) -> dict[str, Any]:
    """A node, as its kubelet reports it."""
    info = {"kubeletVersion": version, "operatingSystem": system, "architecture": cpu}
    return {"metadata": {"name": name}, "status": {"nodeInfo": info}}


def build_policy_binding(policy: str, action: str = "Deny") -> dict[str, Any]:
    """The binding of one of the guard's policies."""
    return {"metadata": {"name": policy}, "spec": {"policyName": policy, "validationActions": [action]}}


@cache
def read_policies() -> Mapping[str, dict[str, Any]]:
    """The guard's policies of the manifests, by name."""
    files = [*KUSTOMIZE.glob("base/guard/*.yaml"), *KUSTOMIZE.glob("components/guard-exec/*.yaml")]
    documents = [one for file in sorted(files) for one in yaml.safe_load_all(file.read_text())]
    return {one["metadata"]["name"]: one for one in documents if one["kind"] == "ValidatingAdmissionPolicy"}


def build_policy(name: str, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A policy of the manifests, with the injector's settings."""
    policy = copy.deepcopy(read_policies()[name])
    settings = SAFE if environ is None else environ
    for variable in policy["spec"].get("variables", []):
        if setting := SETTINGS.get(variable["name"]):
            variable["expression"] = f"'{settings.get(setting, '')}'"
    return policy


READER = "arn:aws:iam::111122223333:role/reader"
SERVING = json.dumps({"role": READER, "state": "serving", "seconds_left": 3000, "failures": 0})
SAFE = {**ENVIRON, "PODROLE_SIDECAR_IMAGE": "example/podrole-sidecar@sha256:" + "0" * 64}


def build_pod_state(
    errors: Mapping[str, str] | None = None, dry_run: DryRunResult | None = None, **changes: Any
) -> PodState:
    """A pod's cluster context without a problem. `errors` are failed reads, by field."""
    values: dict[str, Any] = {
        "namespace": build_namespace(),
        "service_account": {"metadata": {"name": "default"}},
        "events": [],
        "owner": None,
        "sidecar_status": None,
    }
    installation = _build_installation(errors or {}, changes)
    return PodState(installation, now=NOW, dry_run=dry_run, **_build_results(values, errors or {}, changes))


def build_cluster_state(
    errors: Mapping[str, str] | None = None,
    requested_namespaces: tuple[str, ...] = (),
    *,
    dry_run_skipped: bool = False,
    **changes: Any,
) -> ClusterState:
    """A cluster without a problem. `errors` are failed reads, by field; `changes` replace values, by field."""
    endpoints = [{"addresses": [f"10.0.0.{index}"], "targetRef": {"uid": str(index)}} for index in range(2)]
    pem = issue_serving_cert(CA, NAMES, NOW, LIFETIMES).certificate.pem
    values: dict[str, Any] = {
        "namespaces": [build_namespace()],
        "service_accounts": [],
        "nodes": [build_node()],
        "daemon_sets": [],
        "agent_servers": [],
        "agent_config_maps": [],
        "agent_pods": None,
        "warnings": build_warnings(),
        "certificate": StoredCertificate(SECRET, pem),
        "service": {"metadata": {"name": "podrole-injector"}},
        "endpoint_slices": [{"endpoints": endpoints}],
        "dry_runs": [DryRunResult("team-a", build_running_pod())],
        "probes": ProbeRun(),
        "issuer": "https://oidc.example.com/id/1",
        "rejected_workloads": [],
    }
    return ClusterState(
        _build_installation(errors or {}, changes),
        **_build_results(values, errors or {}, changes),
        requested_namespaces=requested_namespaces,
        dry_run_skipped=dry_run_skipped,
    )


def _build_installation(errors: Mapping[str, str], changes: Mapping[str, Any]) -> Installation:
    deployment = changes.get("deployment") or build_deployment(SAFE)
    settings = read_deployed_env(deployment, changes.get("config_maps", ()))
    values: dict[str, Any] = {
        "version": {"gitVersion": "v1.34.4"},
        "webhooks": [build_configuration(build_webhook())],
        "deployment": build_deployment(SAFE),
        "config_maps": [],
        "policies": [build_policy(policy, settings.environ) for policy in POLICIES],
        "policy_bindings": [build_policy_binding(policy) for policy in POLICIES],
    }
    return Installation(**_build_results(values, errors, changes))


EMPTY = {"version": {}, "issuer": "", "probes": ProbeRun(), "certificate": StoredCertificate(SECRET, "")}
"""What a failed read leaves where that is neither None nor an empty tuple."""


def _build_results(
    values: Mapping[str, Any], errors: Mapping[str, str], changes: Mapping[str, Any]
) -> dict[str, ReadResult[Any]]:
    results = {}
    for name, default in values.items():
        value = copy.deepcopy(changes.get(name, default))
        value = tuple(value) if isinstance(value, list) else value
        if name in errors:
            value = () if isinstance(default, list) else EMPTY.get(name)
        results[name] = ReadResult(value, errors.get(name, ""))
    return results


def annotate(pod: Pod, key: str, value: str) -> Pod:
    """The pod with one more annotation."""
    pod["metadata"]["annotations"][key] = value
    return pod


def diagnose_running_pod(
    pod: Pod, state: PodState | None = None, environ: Mapping[str, str] | None = None
) -> list[Finding]:
    """All findings about a pod, by default with a sidecar that serves credentials."""
    image = {"PODROLE_SIDECAR_IMAGE": "example/podrole-sidecar:1"}
    default = build_pod_state(sidecar_status=SERVING, deployment=build_deployment(SAFE | image))
    return list_findings(diagnose_pod(pod, state or default, environ or {}))


def diagnose_with(**changes: Any) -> list[Finding]:
    """All findings about a cluster that differs by this from one without a problem."""
    return list_findings(diagnose_cluster(build_cluster_state(**changes), {}, NOW))


def list_findings(sections: Iterable[Section]) -> list[Finding]:
    """All findings of all sections."""
    return [finding for section in sections for finding in section.findings]


def find_texts(findings: Iterable[Finding], code: str) -> list[str]:
    """The texts of the findings with one code."""
    return [finding.text for finding in findings if finding.code == code]


def list_concerns_with(**changes: Any) -> list[str]:
    """The codes of the findings of `diagnose_with` that need attention."""
    return list_concerns(diagnose_with(**changes))


def list_concerns(findings: Iterable[Finding]) -> list[str]:
    """The codes of the findings that need attention."""
    return [finding.code for finding in findings if finding.level in {"unknown", "warning", "problem"}]
