from dataclasses import replace
from typing import Any

import pytest

import contract
from injector.decision.outcomes import Block, Deny, Inject, Skip
from injector.decision.pod_settings import OVERRIDES, Override
from injector.k8s.objects import Metadata
from injector.reasons import Reason
from injector.value_types import PodsWithoutRole
from testing.cases import CONFIG, ENABLED, UNANNOTATED, Case, build_case, load_case


def denial_of(case: Case) -> list[Reason]:
    decision = case.decide()
    assert isinstance(decision, Deny), decision
    return [explanation.reason for explanation in decision.explanations]


def test_one_denial_has_all_errors_up_to_ten_and_the_number_of_the_others() -> None:
    reasons = denial_of(load_case("everything-wrong"))

    assert sorted(reason.code for reason in reasons) == [
        "IntermediateRoleRequired",
        "IntermediateRoleRequired",
        "InvalidValue",
        "InvalidValue",
        "InvalidValue",
        "More",
        "OverrideNotAllowed",
        "OverrideNotAllowed",
        "OverrideNotAllowed",
        "ReservedUser",
        "WrongPartition",
    ]


@pytest.mark.parametrize(
    ("changes", "reason", "key", "meant"),
    [
        pytest.param(
            {"credential_source": "node", "node_access_requires_users": False},
            Reason.ALLOW_LIST_REQUIRED,
            "iam.amazonaws.com/allowed-role",
            "iam.amazonaws.com/allowed-roles",
            id="allow-list-required",
        ),
        pytest.param(
            {}, Reason.ROLE_NOT_ALLOWED, "iam.amazonaws.com/permited", "iam.amazonaws.com/permitted", id="not-allowed"
        ),
        pytest.param(
            {},
            Reason.INTERMEDIATE_ROLE_REQUIRED,
            "podrole.io/intermediaterole",
            "podrole.io/intermediate-role",
            id="intermediate-role-required",
        ),
    ],
)
def test_denial_has_the_misspelt_key_that_would_have_prevented_it(
    changes: dict[str, Any], reason: Reason, key: str, meant: str
) -> None:
    case = build_case()
    annotations = {key: "x"}
    if reason is Reason.ROLE_NOT_ALLOWED:
        annotations["iam.amazonaws.com/allowed-roles"] = '["writer"]'
    if reason is Reason.INTERMEDIATE_ROLE_REQUIRED:
        case.pod["metadata"]["annotations"]["iam.amazonaws.com/external-id"] = "42"

    decision = replace(case, namespace=ENABLED._replace(annotations=annotations)).decide(CONFIG._replace(**changes))

    assert isinstance(decision, Deny)
    assert [one.reason for one in decision.explanations] == [reason]
    [warning] = decision.warnings
    assert f"Annotation {key} of the namespace has no effect" in warning.text
    assert f"Did you mean {meant}?" in warning.text


def test_missing_namespace_is_named_in_the_denial() -> None:
    decision = load_case("namespace-missing").decide()

    assert isinstance(decision, Deny)
    assert decision.explanations[0].reason is Reason.NAMESPACE_NOT_FOUND
    assert '"team-b"' in decision.explanations[0].text


@pytest.mark.parametrize("pods_without_role", PodsWithoutRole)
def test_missing_service_account_is_named_in_the_denial(pods_without_role: PodsWithoutRole) -> None:
    case = replace(load_case("role-on-the-service-account"), service_account=None)

    decision = case.decide(CONFIG._replace(pods_without_role=pods_without_role))

    assert isinstance(decision, Deny)
    assert decision.explanations[0].reason is Reason.SERVICE_ACCOUNT_NOT_FOUND
    account, namespace = case.pod["spec"]["serviceAccountName"], case.pod["metadata"]["namespace"]
    assert f'"{account}" does not exist in namespace "{namespace}"' in decision.explanations[0].text


@pytest.mark.parametrize("override", OVERRIDES, ids=lambda override: override.key)
def test_unsafe_override_is_denied_and_its_safe_value_is_not(override: Override) -> None:
    case = build_case()
    kind = "labels" if override.kind == "label" else "annotations"
    strings = case.pod["metadata"].setdefault(kind, {})

    strings[override.key] = override.unsafe_value
    denied = case.decide()
    strings[override.key] = "perhaps"
    unclear = denial_of(case)
    strings[override.key] = override.safe_value
    kept = case.decide()

    assert isinstance(denied, Deny)
    assert denied.explanations[0].reason is Reason.OVERRIDE_NOT_ALLOWED
    assert override.key in denied.explanations[0].text
    assert unclear == [Reason.INVALID_VALUE]
    assert isinstance(kept, Inject)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("namespace-without-label", Reason.NAMESPACE_NOT_LABELLED), ("mirror-pod", Reason.MIRROR_POD)],
)
def test_unrelated_pods_are_skipped_without_warnings(name: str, reason: Reason) -> None:
    assert load_case(name).decide() == Skip(reason)


@pytest.mark.parametrize("value", ["disabled", "true", "Enabled", ""])
def test_only_the_exact_label_value_enables_injection(value: str) -> None:
    case = replace(build_case(), namespace=Metadata({"podrole.io/injection": value}, {}))

    assert case.decide() == Skip(Reason.NAMESPACE_NOT_LABELLED)


@pytest.mark.parametrize(("name", "reason"), [("host-network", Reason.HOST_NETWORK), ("windows-os", Reason.WINDOWS)])
def test_unsupported_pod_without_role_is_skipped_with_a_warning(name: str, reason: Reason) -> None:
    decision = load_case(name).decide()

    assert isinstance(decision, Skip)
    assert decision.reason is reason
    assert "can get the node's role" in decision.warnings[0].text


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("host-network-with-role", Reason.HOST_NETWORK_WITH_ROLE),
        ("windows-node-selector-with-role", Reason.WINDOWS_WITH_ROLE),
    ],
)
def test_unsupported_pod_with_role_is_denied(name: str, reason: Reason) -> None:
    assert denial_of(load_case(name)) == [reason]


def test_pod_without_role_is_blocked_with_a_warning() -> None:
    decision = load_case("no-role").decide()

    assert isinstance(decision, Block)
    assert decision.reason is Reason.NO_ROLE
    assert "iam.amazonaws.com/role" in decision.warnings[0].text


def test_pod_without_role_is_skipped_if_the_operator_ignores_such_pods() -> None:
    decision = load_case("no-role").decide(CONFIG._replace(pods_without_role=PodsWithoutRole.IGNORE))

    assert decision == Skip(Reason.PODS_WITHOUT_ROLE_IGNORED)


@pytest.mark.parametrize(
    ("name", "role", "reason"),
    [
        ("role-on-the-pod", "role/reader", Reason.ROLE_FROM_POD),
        ("role-on-the-service-account", "role/team/writer", Reason.ROLE_FROM_SERVICE_ACCOUNT),
        ("role-of-irsa", "role/irsa", Reason.ROLE_FROM_SERVICE_ACCOUNT),
        ("role-of-the-namespace", "role/everyday", Reason.ROLE_FROM_NAMESPACE),
        ("role-everywhere", "role/of-the-pod", Reason.ROLE_FROM_POD),
    ],
)
def test_role_comes_from_the_first_source_that_sets_one(name: str, role: str, reason: Reason) -> None:
    decision = load_case(name).decide()

    assert isinstance(decision, Inject)
    assert decision.role_arn.endswith(role)
    assert decision.reason is reason


def test_each_source_is_used_if_the_sources_before_it_set_no_role() -> None:
    case = load_case("role-everywhere")
    assert case.service_account is not None
    del case.pod["metadata"]["annotations"]
    irsa_only = Metadata(
        {}, {"eks.amazonaws.com/role-arn": case.service_account.annotations["eks.amazonaws.com/role-arn"]}
    )

    roles = []
    for account in (case.service_account, irsa_only, UNANNOTATED):
        decision = replace(case, service_account=account).decide()
        assert isinstance(decision, Inject)
        roles.append(decision.role_arn.partition(":role/")[2])

    assert roles == ["of-the-account", "of-irsa", "of-the-namespace"]


def test_invalid_role_is_not_replaced_by_the_next_source() -> None:
    case = load_case("role-everywhere")
    case.pod["metadata"]["annotations"]["iam.amazonaws.com/role"] = "a b"

    assert denial_of(case) == [Reason.INVALID_ROLE]


@pytest.mark.parametrize(
    "context",
    [{"runAsUser": contract.SIDECAR_UID}, {"runAsGroup": contract.SIDECAR_UID}],
    ids=["user", "group"],
)
def test_uid_and_gid_of_the_sidecar_are_denied(context: dict[str, int]) -> None:
    container = {"name": "app", "securityContext": context}

    whole_pod = build_case(securityContext=context)
    app = build_case(containers=[container])
    init = build_case(initContainers=[container])
    groups = build_case(securityContext={"supplementalGroups": [contract.SIDECAR_UID]})

    for case in (whole_pod, app, init, groups):
        assert denial_of(case) == [Reason.RESERVED_USER]


def test_privileged_containers_are_named_in_warnings() -> None:
    decision = load_case("powerful-containers").decide()

    assert isinstance(decision, Inject)
    assert [warning.reason for warning in decision.warnings] == [Reason.PRIVILEGED_CONTAINER] * 2
    texts = [warning.text for warning in decision.warnings]
    assert '"tune" is privileged' in texts[0]
    assert '"vpn" adds NET_ADMIN' in texts[1]


def test_warning_suggests_the_nearest_key() -> None:
    decision = load_case("misspelt-annotation").decide()

    assert isinstance(decision, Inject)
    assert "Did you mean podrole.io/session-duration?" in decision.warnings[0].text
    assert "podrole.io/colour" in decision.warnings[1].text
    assert "podrole.io/session-duration" in decision.warnings[1].text


def test_denial_truncates_a_huge_value() -> None:
    case = build_case()
    case.pod["metadata"]["annotations"]["iam.amazonaws.com/role"] = "x" * 250_000

    decision = case.decide()

    assert isinstance(decision, Deny)
    assert len(decision.explanations[0].text) < 1000


def test_braces_in_a_value_are_not_interpreted() -> None:
    case = build_case()
    case.pod["metadata"]["annotations"]["iam.amazonaws.com/role"] = "{where}{0}"

    decision = case.decide()

    assert isinstance(decision, Deny)
    assert '"{where}{0}"' in decision.explanations[0].text


def test_decision_does_not_change_the_pod() -> None:
    case = load_case("forged")
    before = repr(case.pod)

    case.inject()

    assert repr(case.pod) == before


def test_service_account_without_annotations_sets_no_role() -> None:
    case = load_case("no-role")
    assert case.service_account == UNANNOTATED
    assert case.namespace == ENABLED

    assert isinstance(case.decide(), Block)
