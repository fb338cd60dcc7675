import pytest

from injector.decision.outcomes import Deny, Inject, Skip
from injector.k8s.objects import Metadata
from injector.metadata_keys import (
    DEFAULT_ROLE,
    NAMESPACE_LIMITS,
    POD_LIMITS,
    ROLE,
    SERVICE_ACCOUNT_LIMITS,
)
from injector.reasons import Reason
from injector.value_types import OverrideName
from testing.cases import CONFIG, ENABLED, UNANNOTATED, Case, build_case

KINDS = {"pod": POD_LIMITS, "namespace": NAMESPACE_LIMITS, "ServiceAccount": SERVICE_ACCOUNT_LIMITS}
VALUES = [pytest.param(kind, key, id=f"{kind}-{key}") for kind, limits in KINDS.items() for key in limits]


def annotate(kind: str, key: str, value: str) -> Case:
    """A pod with a role, and this annotation on one of the three objects."""
    case = build_case()
    if kind == "pod":
        case.pod["metadata"]["annotations"][key] = value
    namespace = {key: value} if kind == "namespace" else {}
    account = {key: value} if kind == "ServiceAccount" else {}
    return Case(case.pod, Metadata(ENABLED.labels, namespace), Metadata({}, account))


@pytest.mark.parametrize(("kind", "key"), VALUES)
def test_value_over_its_limit_denies_the_pod_before_it_is_parsed(kind: str, key: str) -> None:
    limit = KINDS[kind][key]

    decision = annotate(kind, key, "," * (limit + 100)).decide()

    assert isinstance(decision, Deny)
    (explanation,) = decision.explanations
    assert explanation.reason is Reason.VALUE_TOO_LARGE
    assert explanation.text == f"annotation {key} of the {kind} has more than {limit} bytes. Make it shorter."


@pytest.mark.parametrize(("kind", "key"), VALUES)
def test_value_of_its_limit_is_parsed(kind: str, key: str) -> None:
    decision = annotate(kind, key, "," * KINDS[kind][key]).decide()

    found = decision.explanations if isinstance(decision, Deny) else ()
    assert not [one for one in found if one.reason is Reason.VALUE_TOO_LARGE]


@pytest.mark.parametrize("character", ["é", "€", "😀", "\ud800"], ids=["2-bytes", "3-bytes", "4-bytes", "surrogate"])
def test_bytes_are_counted_and_not_characters(character: str) -> None:
    size = len(character.encode(errors="surrogatepass"))

    decision = annotate("pod", "podrole.io/session-tags", character * (4096 // size + 2)).decide()

    assert isinstance(decision, Deny)
    assert [one.reason for one in decision.explanations] == [Reason.VALUE_TOO_LARGE]


def test_default_role_that_the_pod_does_not_need_counts_too() -> None:
    decision = annotate("namespace", DEFAULT_ROLE, "a" * 5000).decide()

    assert isinstance(decision, Deny)


def test_large_annotation_that_podrole_does_not_read_is_ignored() -> None:
    assert isinstance(annotate("pod", "example.com/notes", "," * 1_000_000).decide(), Inject)


def test_host_network_pod_with_a_role_over_the_limit_is_denied_and_not_skipped() -> None:
    case = build_case(hostNetwork=True)
    case.pod["metadata"]["annotations"][ROLE] = "a" * 5000

    assert isinstance(case.decide(), Deny)


def test_pod_of_an_unlabelled_namespace_is_skipped_whatever_its_values_are() -> None:
    case = annotate("pod", ROLE, "a" * 5000)

    assert isinstance(Case(case.pod, Metadata({}, {}), UNANNOTATED).decide(), Skip)


def test_pod_that_opts_out_with_a_value_over_the_limit_is_denied() -> None:
    case = annotate("pod", "podrole.io/session-tags", "a" * 5000)
    case.pod["metadata"]["labels"] = {"podrole.io/inject": "false"}
    config = CONFIG._replace(allow_overrides=frozenset({OverrideName.INJECT}))

    assert isinstance(case.decide(config), Deny)
