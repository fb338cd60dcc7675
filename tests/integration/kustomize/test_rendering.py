"""The rendered kustomizations, without a cluster."""

from pathlib import Path

import pytest

from injector.config import Config
from injector.errors import ConfigError
from injector.patch.template import load_template
from injector.webhook.app import WORKLOAD_PATH
from injector.webhook.workload_review import TEMPLATE_PATHS
from testing.cluster.manifests import (
    BASE,
    KUSTOMIZE,
    OVERLAYS,
    Kubectl,
    find,
    find_environment,
    find_injector,
    find_settings,
    write_kustomization,
)
from tests.integration.api_server.guard.policies import GUARD_SETTINGS

REPOSITORY = KUSTOMIZE.parent
FILLED_IN = {"PODROLE_REGION": "eu-west-1"}
ALSO_FILLED_IN = {"outside-aws": {"PODROLE_STS_ENDPOINT": "https://store.example.com"}}
ROUTES_WITHIN_SECONDS = 5
"""kube-proxy follows within one second where it is not starved: https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/"""

WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
IMAGES = [{"name": "podrole-images", "namespace": "podrole-system", "behavior": "merge"}]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_renders_every_kind(kubectl: Kubectl, overlay: str) -> None:
    manifests = kubectl.render(KUSTOMIZE / "overlays" / overlay)

    assert sorted(each["kind"] for each in manifests) == [
        "ClusterRole",
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "Deployment",
        "MutatingWebhookConfiguration",
        "Namespace",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Role",
        "RoleBinding",
        "Secret",
        "Service",
        "ServiceAccount",
        *["ValidatingAdmissionPolicy"] * 4,
        *["ValidatingAdmissionPolicyBinding"] * 4,
        "ValidatingWebhookConfiguration",
    ]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_settings_are_valid_injector_settings(kubectl: Kubectl, overlay: str) -> None:
    manifests = kubectl.render(KUSTOMIZE / "overlays" / overlay)

    settings = {key: value for key, value in find_settings(manifests).items() if value}
    filled_in = FILLED_IN | ALSO_FILLED_IN.get(overlay, {})
    config = Config.from_environ({**filled_in, **settings, **find_environment(manifests)}, with_tls=True)

    modes = {"restricted": "env"}
    sources = {"node-role-unsafe": "node"}
    assert config.mode == modes.get(overlay, "auto")
    assert config.credential_source == sources.get(overlay, "web-identity")
    assert config.sidecar_image == "localhost/podrole-sidecar:0.1.0"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_that_was_not_filled_in_is_refused(kubectl: Kubectl, overlay: str) -> None:
    missing = "PODROLE_STS_ENDPOINT" if overlay == "outside-aws" else "PODROLE_REGION"

    with pytest.raises(ConfigError) as refused:
        Config.from_environ(find_settings(kubectl.render(KUSTOMIZE / "overlays" / overlay)))

    [line] = str(refused.value).splitlines()[1:]
    assert f"{missing} is not set" in line or f"set {missing}" in line


def test_images_are_set_in_one_place(kubectl: Kubectl, tmp_path: Path) -> None:
    literals = ["injector=registry.example.com/injector@sha256:1", "sidecar=registry.example.com/sidecar@sha256:2"]
    folder = write_kustomization(
        tmp_path / "own", [BASE], ["names"], configMapGenerator=[{**IMAGES[0], "literals": literals}]
    )

    manifests = kubectl.render(folder)

    assert find_injector(manifests)["image"] == "registry.example.com/injector@sha256:1"
    assert find_settings(manifests)["PODROLE_SIDECAR_IMAGE"] == "registry.example.com/sidecar@sha256:2"


def test_namespace_is_set_in_one_place(kubectl: Kubectl, tmp_path: Path) -> None:
    components = ["cert-manager", "monitoring", "sidecar-metrics", "iptables", "host-network", "guard-exec"]
    lower = write_kustomization(tmp_path / "lower", [BASE], components, namespace="aws-roles")
    upper = write_kustomization(tmp_path / "upper", [lower], ["names"])

    rendered = kubectl.run("kustomize", str(upper)).output
    manifests = kubectl.render(upper)

    assert "podrole-system" not in rendered
    for kind in WEBHOOKS:
        webhook = find(manifests, kind)["webhooks"][0]
        assert webhook["clientConfig"]["service"]["namespace"] == "aws-roles"
        assert webhook["namespaceSelector"]["matchExpressions"][1]["values"][0] == "aws-roles"
    assert find(manifests, "ClusterRoleBinding")["subjects"][0]["namespace"] == "aws-roles"
    [condition] = find(manifests, POLICY, "podrole-injector")["spec"]["matchConditions"]
    assert condition["expression"].endswith("'system:serviceaccount:aws-roles:podrole-injector'")
    assert "podrole-injector.aws-roles.svc" in find(manifests, "Certificate", "podrole-injector")["spec"]["dnsNames"]


def test_replica_waits_for_routes_at_start_and_at_stop(kubectl: Kubectl) -> None:
    """`rollout status` must not end before the API server can reach the webhook.

    https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#min-ready-seconds
    """
    deployment = find(kubectl.render(BASE), "Deployment")["spec"]
    [container] = deployment["template"]["spec"]["containers"]

    *_, script = container["lifecycle"]["preStop"]["exec"]["command"]
    assert script.endswith(f"time.sleep({ROUTES_WITHIN_SECONDS})")
    assert deployment["minReadySeconds"] == ROUTES_WITHIN_SECONDS


def test_webhook_excludes_its_own_namespace_and_system_namespaces(kubectl: Kubectl) -> None:
    webhook = find(kubectl.render(KUSTOMIZE / "overlays" / "eks"), "MutatingWebhookConfiguration")["webhooks"][0]

    excluded = next(each for each in webhook["namespaceSelector"]["matchExpressions"] if each["operator"] == "NotIn")

    assert excluded["key"] == "kubernetes.io/metadata.name"
    assert set(excluded["values"]) == {"podrole-system", "kube-system", "kube-public", "kube-node-lease"}


SETTINGS = {
    "PODROLE_IMAGE_REWRITES": "ghcr.io/=mirror.example/ghcr/",
    "PODROLE_ALLOW_OVERRIDES": "inject,mode",
    "PODROLE_PODS_WITHOUT_ROLE": "ignore",
    "PODROLE_MODE": "env",
    "PODROLE_ENV_RUNTIME_CLASSES": "gvisor,kata-qemu",
    "PODROLE_CREDENTIAL_SOURCE": "node",
    "PODROLE_TEMPLATE": "/template/template.yaml",
    "PODROLE_NODE_ACCESS_REQUIRES_USERS": "false",
}


@pytest.mark.parametrize("changes", [{}, SETTINGS], ids=["defaults", "changed"])
def test_guard_has_the_injectors_settings(kubectl: Kubectl, tmp_path: Path, changes: dict[str, str]) -> None:
    settings = {
        "name": "podrole-settings",
        "namespace": "podrole-system",
        "behavior": "merge",
        "literals": [f"{key}={value}" for key, value in changes.items()],
    }
    images = {**IMAGES[0], "literals": ["sidecar=registry.example/sidecar:2"]}
    folder = write_kustomization(tmp_path / "own", [BASE], ["names"], configMapGenerator=[settings, images])

    manifests = kubectl.render(folder)

    copied = [
        (policy["metadata"]["name"], one["name"], one["expression"])
        for policy in manifests
        if policy["kind"] == POLICY
        for one in policy["spec"].get("variables", [])
        if one["name"] in GUARD_SETTINGS
    ]
    expected = {**find_settings(manifests), **changes}
    assert expected["PODROLE_SIDECAR_IMAGE"] == "registry.example/sidecar:2"
    assert {name for policy, name, _ in copied if policy == "podrole-pods"} == {*GUARD_SETTINGS}
    assert copied == [(policy, name, f"'{expected[GUARD_SETTINGS[name]]}'") for policy, name, _ in copied]


def test_every_setting_of_the_guard_is_changed_by_the_test() -> None:
    assert {*SETTINGS, "PODROLE_SIDECAR_IMAGE"} == {*GUARD_SETTINGS.values()}


def test_no_policy_has_parameters(kubectl: Kubectl) -> None:
    """After the last policy with ConfigMaps as parameters was deleted, an API server finds none until it restarts."""
    manifests = kubectl.render(KUSTOMIZE / "overlays" / "eks")

    guard = [each["spec"] for each in manifests if each["kind"] in {POLICY, BINDING}]
    assert guard
    assert [spec for spec in guard if "paramKind" in spec or "paramRef" in spec] == []


def test_guard_has_the_namespace_selector_of_the_webhook(kubectl: Kubectl, tmp_path: Path) -> None:
    folder = write_kustomization(tmp_path / "own", [KUSTOMIZE / "overlays" / "eks"], ["guard-exec"])
    manifests = kubectl.render(folder)

    selector, of_warnings = (find(manifests, kind)["webhooks"][0]["namespaceSelector"] for kind in WEBHOOKS)
    assert of_warnings == selector
    policies = {each["metadata"]["name"]: each["spec"] for each in manifests if each["kind"] == POLICY}
    found = {name: spec["matchConstraints"].get("namespaceSelector") for name, spec in policies.items()}

    assert found == {
        **dict.fromkeys(["podrole-pods", "podrole-updates", "podrole-ephemeral-containers", "podrole-exec"], selector),
        **{
            name: {"matchExpressions": None, "matchLabels": None} for name in ("podrole-injector", "podrole-namespaces")
        },
    }


def test_component_leaves_the_guard_out(kubectl: Kubectl, tmp_path: Path) -> None:
    with_guard = kubectl.render(KUSTOMIZE / "overlays" / "eks")
    folder = write_kustomization(tmp_path / "own", [KUSTOMIZE / "overlays" / "eks"], ["without-guard"])

    assert kubectl.render(folder) == [each for each in with_guard if each["kind"] not in {POLICY, BINDING}]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_manifests_contain_no_field_that_the_injector_writes(kubectl: Kubectl, overlay: str) -> None:
    manifests = kubectl.render(KUSTOMIZE / "overlays" / overlay)

    assert not {"data", "stringData"} & find(manifests, "Secret").keys()
    for kind in WEBHOOKS:
        for webhook in find(manifests, kind)["webhooks"]:
            assert "caBundle" not in webhook["clientConfig"]


def test_custom_template_is_mounted_where_the_injector_reads_it(kubectl: Kubectl, tmp_path: Path) -> None:
    component = tmp_path / "custom-template"
    component.mkdir()
    for file, source in {
        "kustomization.yaml": KUSTOMIZE / "components" / "custom-template" / "kustomization.yaml",
        "template.yaml": REPOSITORY / "injector" / "patch" / "template.yaml",
    }.items():
        (component / file).write_text(source.read_text())
    folder = write_kustomization(tmp_path / "own", [KUSTOMIZE / "overlays" / "eks"])
    (folder / "kustomization.yaml").write_text(
        (folder / "kustomization.yaml").read_text().replace("components: []", "components: [../custom-template]")
    )

    manifests = kubectl.render(folder)

    assert find_settings(manifests)["PODROLE_TEMPLATE"] == "/template/template.yaml"
    assert find_injector(manifests)["volumeMounts"][0]["mountPath"] == "/template"
    pod = find(manifests, "Deployment")["spec"]["template"]["spec"]
    name = pod["volumes"][0]["configMap"]["name"]
    template = tmp_path / "mounted.yaml"
    template.write_text(find(manifests, "ConfigMap", name)["data"]["template.yaml"])
    config = Config.from_environ({**FILLED_IN, "PODROLE_SIDECAR_IMAGE": "i", "PODROLE_TEMPLATE": str(template)})
    load_template(config)


def test_cert_manager_component_removes_unneeded_permissions(kubectl: Kubectl, tmp_path: Path) -> None:
    folder = write_kustomization(tmp_path / "own", [KUSTOMIZE / "overlays" / "eks"], ["cert-manager"])

    manifests = kubectl.render(folder)

    assert not {"Role", "RoleBinding", "Secret"} & {each["kind"] for each in manifests}
    assert [rule["resources"] for rule in find(manifests, "ClusterRole", "podrole-injector")["rules"]] == [
        ["namespaces", "serviceaccounts"]
    ]


def test_injector_mounts_the_secret_of_the_cert_manager_certificate(kubectl: Kubectl, tmp_path: Path) -> None:
    folder = write_kustomization(tmp_path / "own", [KUSTOMIZE / "overlays" / "eks"], ["cert-manager"])

    manifests = kubectl.render(folder)

    certificate = find(manifests, "Certificate", "podrole-injector")
    service = find(manifests, "MutatingWebhookConfiguration")["webhooks"][0]["clientConfig"]["service"]
    pod = find(manifests, "Deployment")["spec"]["template"]["spec"]
    assert f"{service['name']}.{service['namespace']}.svc" in certificate["spec"]["dnsNames"]
    assert pod["volumes"][0]["secret"]["secretName"] == certificate["spec"]["secretName"]
    mount = find_injector(manifests)["volumeMounts"][0]["mountPath"]
    environment = find_environment(manifests)
    assert environment["PODROLE_TLS_CERT"] == f"{mount}/tls.crt"
    assert environment["PODROLE_TLS_KEY"] == f"{mount}/tls.key"
    ca = find(manifests, "Certificate", "podrole-ca")
    assert ca["spec"]["isCA"] is True
    issuers = {each["metadata"]["name"]: each["spec"] for each in manifests if each["kind"] == "Issuer"}
    assert issuers[certificate["spec"]["issuerRef"]["name"]] == {"ca": {"secretName": ca["spec"]["secretName"]}}


def test_cluster_role_names_the_webhook_configurations(kubectl: Kubectl) -> None:
    manifests = kubectl.render(KUSTOMIZE / "overlays" / "eks")

    rule = find(manifests, "ClusterRole", "podrole-injector")["rules"][1]

    assert rule["resources"] == [f"{kind.lower()}s" for kind in WEBHOOKS]
    assert [rule["resourceNames"]] * 2 == [[find(manifests, kind)["metadata"]["name"]] for kind in WEBHOOKS]


def test_cert_manager_injects_its_ca_into_both_configurations_instead_of_the_injector(
    kubectl: Kubectl, tmp_path: Path
) -> None:
    manifests = kubectl.render(
        write_kustomization(tmp_path / "own", [KUSTOMIZE / "overlays" / "eks"], ["cert-manager"])
    )

    for kind in WEBHOOKS:
        annotations = find(manifests, kind)["metadata"]["annotations"]
        assert annotations["cert-manager.io/inject-ca-from"] == "podrole-system/podrole-injector"
    assert len(find(manifests, "ClusterRole", "podrole-injector")["rules"]) == 1


def test_warnings_are_for_every_kind_that_the_webhook_knows(kubectl: Kubectl) -> None:
    [webhook] = find(kubectl.render(BASE), WEBHOOKS[1])["webhooks"]

    covered = {(group, name) for rule in webhook["rules"] for group in rule["apiGroups"] for name in rule["resources"]}

    assert covered == {(group, f"{kind.lower()}s") for group, kind in TEMPLATE_PATHS}
    assert webhook["clientConfig"]["service"]["path"] == WORKLOAD_PATH


def test_webhook_for_pods_fails_closed_and_the_one_that_warns_fails_open_soon(kubectl: Kubectl) -> None:
    manifests = kubectl.render(BASE)

    [pods], [workloads] = (find(manifests, kind)["webhooks"] for kind in WEBHOOKS)

    assert (pods["failurePolicy"], workloads["failurePolicy"]) == ("Fail", "Ignore")
    assert workloads["timeoutSeconds"] < pods["timeoutSeconds"]
    assert workloads["sideEffects"] == "None"


DEFAULTED = {
    "admissionReviewVersions",
    "clientConfig",
    "failurePolicy",
    "matchConditions",
    "matchPolicy",
    "name",
    "namespaceSelector",
    "objectSelector",
    "rules",
    "sideEffects",
    "timeoutSeconds",
}
"""https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/mutating-webhook-configuration-v1/"""


@pytest.mark.parametrize(("kind", "more"), [(WEBHOOKS[0], {"reinvocationPolicy"}), (WEBHOOKS[1], set())], ids=WEBHOOKS)
def test_every_field_of_a_webhook_is_set(kubectl: Kubectl, kind: str, more: set[str]) -> None:
    """An apply does not touch a field that the manifest leaves to its default."""
    [webhook] = find(kubectl.render(BASE), kind)["webhooks"]

    assert webhook.keys() == DEFAULTED | more
    assert webhook["clientConfig"]["service"].keys() == {"name", "namespace", "path", "port"}
    assert all(
        rule.keys() == {"apiGroups", "apiVersions", "operations", "resources", "scope"} for rule in webhook["rules"]
    )


def test_iptables_component_sets_the_backend(kubectl: Kubectl, tmp_path: Path) -> None:
    folder = write_kustomization(tmp_path / "own", [KUSTOMIZE / "overlays" / "eks"], ["iptables"])

    assert find_settings(kubectl.render(folder))["PODROLE_REDIRECT_BACKEND"] == "iptables"


def test_ha_overlay_is_the_eks_overlay_with_three_replicas_on_different_nodes(kubectl: Kubectl) -> None:
    expected = kubectl.render(KUSTOMIZE / "overlays" / "eks")
    deployment = find(expected, "Deployment")["spec"]
    spread = {
        "topologyKey": "kubernetes.io/hostname",
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": deployment["selector"]["matchLabels"]},
    }
    deployment["replicas"] = 3
    deployment["template"]["spec"]["topologySpreadConstraints"].insert(0, spread)

    assert kubectl.render(KUSTOMIZE / "overlays" / "ha") == expected


def test_changed_setting_changes_the_pod_template(kubectl: Kubectl, tmp_path: Path) -> None:
    before = kubectl.render(KUSTOMIZE / "overlays" / "eks")
    after = kubectl.render(write_kustomization(tmp_path / "own", [KUSTOMIZE / "overlays" / "eks"], ["iptables"]))

    assert find_injector(before)["envFrom"] != find_injector(after)["envFrom"]
