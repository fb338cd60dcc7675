"""Keys that have no effect: misspelt ones, labels in place of annotations, and keys of another kind of object."""

import pytest

from injector.decision.annotations import parse_annotations
from injector.decision.unknown_annotations import find_unknown_keys, find_workload_keys
from injector.edit_distance import count_edits
from injector.k8s.objects import Metadata, parse_metadata
from injector.similar_keys import KEYS, MAX_KEY, find_meant
from testing.cases import CONFIG, ENABLED, build_case

INJECT = "podrole.io/inject"
ROLE, IRSA, DEFAULT = "iam.amazonaws.com/role", "eks.amazonaws.com/role-arn", "podrole.io/default-role"
AUDIENCE = "eks.amazonaws.com/audience"
OF_OTHERS = [
    "app.kubernetes.io/name",
    "azure.workload.identity/client-id",
    "azure.workload.identity/skip-containers",
    "eks.amazonaws.com/compute-type",
    "eks.amazonaws.com/fargate-profile",
    "eks.amazonaws.com/nodegroup",
    "eks.amazonaws.com/sts-regional-endpoints",
    "eks.amazonaws.com/token-expiration",
    "rbac.authorization.k8s.io/role",
    "role",
    "roles",
    "aws.example.com/mode",
    "roles.example.com/session-name",
    "vault.hashicorp.com/role",
    "vpc.amazonaws.com/pod-eni",
]


def explain(kind: str, annotations: tuple[str, ...] = (), labels: tuple[str, ...] = ()) -> list[str]:
    metadata = Metadata(dict.fromkeys(labels, "reader"), dict.fromkeys(annotations, "reader"))
    return [explanation.text for explanation in find_unknown_keys(metadata, kind)]


@pytest.mark.parametrize("key", OF_OTHERS)
@pytest.mark.parametrize("kind", ["pod", "ServiceAccount", "namespace"])
def test_key_of_another_project_is_no_near_miss(kind: str, key: str) -> None:
    assert not explain(kind, (key,), (key,))


@pytest.mark.parametrize(
    ("kind", "key", "meant"),
    [
        pytest.param("pod", "iam.amazonaws.com/roles", ROLE, id="plural"),
        pytest.param("pod", "iam.amazonaws.com/rloe", ROLE, id="swapped-letters"),
        pytest.param("pod", "iam.amazonaws.com.role", ROLE, id="point-for-slash"),
        pytest.param("pod", "Iam.amazonaws.com/Role", ROLE, id="case"),
        pytest.param("pod", "podrole.io/role", ROLE, id="our-prefix"),
        pytest.param("pod", "podrloe.io/role", ROLE, id="our-prefix-misspelt"),
        pytest.param("pod", "podrole/role", ROLE, id="our-prefix-without-its-end"),
        pytest.param("pod", "iam.aws.com/role", ROLE, id="domain-of-another-name"),
        pytest.param("pod", "podrole.io/session-name", "iam.amazonaws.com/session-name", id="our-prefix-for-kiams"),
        pytest.param("ServiceAccount", "podrole.io/audience", AUDIENCE, id="our-prefix-for-irsas"),
        pytest.param(
            "namespace", "podrole.io/allowed-roles", "iam.amazonaws.com/allowed-roles", id="our-prefix-for-kube2iams"
        ),
        pytest.param(
            "namespace", "eks.amazonaws.com/permitted", "iam.amazonaws.com/permitted", id="domain-of-irsa-for-kiams"
        ),
        pytest.param("pod", "podrole.io/iam-role", ROLE, id="our-prefix-and-another-name"),
        pytest.param("pod", "eks.amazon.com/role-arn", ROLE, id="irsa-misspelt-on-a-pod"),
        pytest.param("pod", "iam.amazonaws.com/session_name", "iam.amazonaws.com/session-name", id="underscore"),
        pytest.param("pod", "podrole.io/imds-token", "podrole.io/imds-tokens", id="singular"),
        pytest.param("ServiceAccount", "eks.amazon.com/role-arn", IRSA, id="domain-of-irsa"),
        pytest.param("ServiceAccount", "amazonaws.com/role-arn", IRSA, id="domain-of-kops"),
        pytest.param("ServiceAccount", "eks.amazonaws.com/role_arn", IRSA, id="underscore-of-irsa"),
        pytest.param("ServiceAccount", "eks.amazonaws.com/role", IRSA, id="irsa-without-arn"),
        pytest.param("ServiceAccount", "podrole.io/role", ROLE, id="our-prefix-on-an-account"),
        pytest.param("namespace", "podrole.io/role", DEFAULT, id="our-prefix-on-a-namespace"),
        pytest.param("namespace", "iam.amazonaws.com/allowed-role", "iam.amazonaws.com/allowed-roles", id="allow-list"),
        pytest.param("namespace", "iam.amazonaws.com/permited", "iam.amazonaws.com/permitted", id="kiams-allow-list"),
    ],
)
def test_misspelt_annotation_is_named_with_the_one_that_is_meant(kind: str, key: str, meant: str) -> None:
    text = f"Annotation {key} of the {kind} has no effect: podrole does not know it. Did you mean {meant}?"

    assert explain(kind, (key,)) == [text]


@pytest.mark.parametrize(
    ("kind", "noun", "key", "right"),
    [
        pytest.param("pod", "label", ROLE, f"the annotation {ROLE} of the pod", id="role-as-a-label"),
        pytest.param("ServiceAccount", "label", IRSA, f"the annotation {IRSA} of the ServiceAccount", id="irsa-label"),
        pytest.param("pod", "label", "podrole.io/role", f"the annotation {ROLE} of the pod", id="misspelt-label"),
        pytest.param("pod", "annotation", IRSA, ROLE, id="irsa-on-a-pod"),
        pytest.param("pod", "annotation", DEFAULT, ROLE, id="default-role-on-a-pod"),
        pytest.param("namespace", "annotation", ROLE, DEFAULT, id="role-on-a-namespace"),
        pytest.param("namespace", "label", "podrole.io/inject", "podrole.io/injection", id="pods-label-on-a-namespace"),
        pytest.param(
            "pod",
            "annotation",
            "iam.amazonaws.com/allowed-roles",
            "the annotation iam.amazonaws.com/allowed-roles of the namespace",
            id="allow-list-on-a-pod",
        ),
        pytest.param(
            "pod", "annotation", "podrole.io/inject", "the label podrole.io/inject of the pod", id="label-as-annotation"
        ),
        pytest.param(
            "ServiceAccount",
            "annotation",
            "podrole.io/session-duration",
            "the annotation podrole.io/session-duration of the pod",
            id="of-a-pod-on-an-account",
        ),
    ],
)
def test_key_in_the_wrong_place_is_named_with_the_right_place(kind: str, noun: str, key: str, right: str) -> None:
    found = explain(kind, **{f"{noun}s": (key,)})

    assert found == [f"{noun.capitalize()} {key} of the {kind} has no effect. Did you mean {right}?"]


@pytest.mark.parametrize(
    ("kind", "key", "remedy"),
    [
        pytest.param(
            "pod",
            "eks.amazonaws.com/skip-containers",
            "All containers of a pod have its role: move the others to a pod of their own.",
            id="skip-containers-of-irsa",
        ),
        pytest.param(
            "pod",
            "iam.amazonaws.com/session-tag.team",
            "Use podrole.io/session-tags on the pod, with podrole.io/intermediate-role on the namespace.",
            id="session-tag-of-a-fork-of-kiam",
        ),
        pytest.param(
            "pod", "iam.amazonaws.com/session-duration", "Did you mean podrole.io/session-duration?", id="ours"
        ),
        pytest.param(
            "ServiceAccount",
            "iam.amazonaws.com/policy",
            "The known annotations are iam.amazonaws.com/role, eks.amazonaws.com/role-arn, eks.amazonaws.com/audience.",
            id="unknown-key-of-the-domain",
        ),
    ],
)
def test_key_of_another_system_that_changes_what_a_pod_gets_is_named_with_the_reason(
    kind: str, key: str, remedy: str
) -> None:
    assert explain(kind, (key,)) == [f"Annotation {key} of the {kind} has no effect. {remedy}"]


def test_keys_of_pod_account_and_namespace_are_warnings() -> None:
    odd = {"podrole.io/role": "reader"}

    parsed = parse_annotations(Metadata({}, odd), ENABLED._replace(annotations=odd), Metadata({}, odd), CONFIG)

    places = [warning.text.partition(" has ")[0].rpartition(" ")[2] for warning in parsed.warnings]
    assert places == ["pod", "namespace", "ServiceAccount"]


def test_injected_pod_has_no_unknown_key() -> None:
    pod = build_case().inject()

    assert not [*find_unknown_keys(parse_metadata(pod), "pod")]


def test_only_ten_keys_of_thousands_are_compared_and_the_others_counted() -> None:
    find_meant.cache_clear()

    found = explain("pod", tuple(f"podrole.io/roel-{number}" for number in range(5000)))

    assert len(found) == 11
    assert found[-1] == "And 4990 more."
    assert find_meant.cache_info().currsize == 10


def test_long_key_is_not_compared() -> None:
    assert find_meant("podrole.io/" + "role" * MAX_KEY) is None


def test_each_key_means_itself() -> None:
    assert [find_meant(key) for key in KEYS] == [*KEYS]


@pytest.mark.parametrize(
    ("text", "edits"),
    [
        pytest.param("role", 0, id="equal"),
        pytest.param("rloe", 1, id="swap"),
        pytest.param("roles", 1, id="insertion"),
        pytest.param("rle", 1, id="deletion"),
        pytest.param("mode", 2, id="replacements"),
        pytest.param("elor", 3, id="over-the-limit"),
        pytest.param("r" * 64, 3, id="much-longer"),
    ],
)
def test_edits_are_counted_up_to_the_limit(text: str, edits: int) -> None:
    assert count_edits(text, "role", 2) == edits


def test_key_of_a_deployment_belongs_to_its_pod_template() -> None:
    deployment = {"metadata": {"annotations": {ROLE: "reader", "note": "x"}, "labels": {"podrole.io/inject": "false"}}}

    found = [one.text for one in find_workload_keys(deployment, "Deployment", {}, "spec.template.metadata")]

    assert found == [
        f"Annotation {ROLE} of the Deployment has no effect. Set the annotation {ROLE} in spec.template.metadata.",
        f"Label {INJECT} of the Deployment has no effect. Set the label {INJECT} in spec.template.metadata.",
    ]


def test_key_that_the_pod_template_has_too_is_not_reported() -> None:
    annotated = {"metadata": {"annotations": {ROLE: "reader"}}}

    assert not [*find_workload_keys(annotated, "Deployment", annotated, "spec.template.metadata")]
