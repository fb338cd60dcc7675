"""What is kept of an object that the API server sends in protobuf."""

import pytest

from injector.errors import ObjectError
from injector.k8s.cached_metadata import (
    MAX_CACHED_BYTES,
    MAX_FIELDS,
    MAX_SIMILAR_KEYS,
    fits_cache,
    read_object,
)
from injector.k8s.objects import EMPTY_METADATA, Metadata
from injector.metadata_keys import MAX_ALLOW_LIST_BYTES, MAX_VALUE_BYTES
from injector.similar_keys import MAX_KEY
from testing.protobuf import encode_field, encode_object

ROLE, ALLOWED = "iam.amazonaws.com/role", "iam.amazonaws.com/allowed-roles"
EMOJI = "\N{GRINNING FACE}"


def read(kind: str, **metadata: object) -> Metadata | None:
    return read_object(kind, encode_object({"metadata": {"name": "worker", **metadata}})).metadata


def test_only_values_that_decisions_read_are_kept() -> None:
    labels = {"podrole.io/injection": "enabled", "kubernetes.io/metadata.name": "team-a"}
    annotations = {ALLOWED: "[]", "kubectl.kubernetes.io/last-applied-configuration": "x" * 100_000}

    assert read("Namespace", labels=labels, annotations=annotations) == Metadata(
        {"podrole.io/injection": "enabled"}, {ALLOWED: "[]"}
    )
    assert read("ServiceAccount", labels=labels, annotations={**annotations, ROLE: "web"}) == Metadata(
        {"podrole.io/injection": ""}, {ALLOWED: "", ROLE: "web"}
    )


@pytest.mark.parametrize("kind", ["Namespace", "ServiceAccount"])
def test_keys_that_resemble_podroles_are_kept_without_their_values(kind: str) -> None:
    metadata = read(
        kind, labels={ROLE: "reader"}, annotations={"podrole.io/role": "x" * 9000, "eks.amazon.com/role-arn": "arn"}
    )

    assert metadata == Metadata({ROLE: ""}, {"podrole.io/role": "", "eks.amazon.com/role-arn": ""})


def test_number_and_length_of_kept_keys_are_bounded_and_count_as_memory() -> None:
    keys = [f"podrole.io/{'x' * length}" for length in range(40, 400)]

    metadata = read("ServiceAccount", annotations=dict.fromkeys(keys, "") | {ROLE: "web"})

    assert metadata is not None
    assert metadata.annotations.get(ROLE) == "web"
    assert len(metadata.annotations) == MAX_SIMILAR_KEYS + 1
    assert all(len(key) <= MAX_KEY for key in metadata.annotations)
    assert not fits_cache("ServiceAccount", Metadata({}, dict.fromkeys(keys[:20], "")))


def test_objects_without_our_keys_share_one_empty_metadata() -> None:
    assert read("ServiceAccount", labels={"a": "b"}, annotations=None) is EMPTY_METADATA


def test_keys_are_shared_by_all_objects() -> None:
    first, second = (read("ServiceAccount", annotations={ROLE: value}) for value in ("web", "api"))

    assert first is not None
    assert second is not None
    assert next(iter(first.annotations)) is next(iter(second.annotations))


@pytest.mark.parametrize(
    ("value", "is_whole"),
    [
        pytest.param("x" * MAX_VALUE_BYTES, True, id="at-the-limit"),
        pytest.param("x" * (MAX_VALUE_BYTES + 1), True, id="one-more"),
        pytest.param("x" * 250_000, False, id="as-large-as-the-server-stores"),
        pytest.param(EMOJI * 60_000, False, id="emoji"),
        pytest.param("x" + EMOJI * 60_000, False, id="emoji-that-is-cut"),
        pytest.param("<" * 250_000, False, id="six-bytes-each-in-json"),
    ],
)
def test_value_over_its_limit_is_cut_and_still_over_it(value: str, is_whole: bool) -> None:  # noqa: FBT001 - a parameter
    metadata = read("ServiceAccount", annotations={ROLE: value})

    assert metadata is not None
    kept = metadata.annotations[ROLE]
    assert (kept == value) == is_whole
    assert (len(kept.encode()) > MAX_VALUE_BYTES) == (len(value.encode()) > MAX_VALUE_BYTES)
    assert len(kept.encode()) <= MAX_VALUE_BYTES + 8


def test_allow_list_has_a_limit_of_its_own() -> None:
    metadata = read("Namespace", annotations={ALLOWED: "x" * 250_000})

    assert metadata is not None
    assert MAX_ALLOW_LIST_BYTES < len(metadata.annotations[ALLOWED]) <= MAX_ALLOW_LIST_BYTES + 8


def test_invalid_utf8_is_replaced() -> None:
    entry = encode_field(1, ROLE) + encode_field(2, b"web-\xff")
    data = encode_field(1, encode_field(1, "worker") + encode_field(12, entry))

    assert read_object("ServiceAccount", data).metadata == Metadata({}, {ROLE: "web-\ufffd"})


@pytest.mark.parametrize(
    "crowded",
    [
        pytest.param({"labels": {str(number): "" for number in range(MAX_FIELDS)}}, id="labels"),
        pytest.param({"annotations": {str(number): "" for number in range(MAX_FIELDS)}}, id="annotations"),
        pytest.param({"finalizers": ["a/b"] * 300_000}, id="finalizers"),
        pytest.param({"ownerReferences": [{"kind": "A", "name": "a"}] * 100_000}, id="owners"),
        pytest.param({"managedFields": [{"manager": "a", "fieldsV1": {}}] * MAX_FIELDS}, id="managed-fields"),
    ],
)
def test_object_with_too_many_entries_has_only_a_name_and_a_version(crowded: dict[str, object]) -> None:
    metadata = {"name": "worker", "namespace": "team-a", "resourceVersion": "7", "annotations": {ROLE: "web"}}

    found = read_object("ServiceAccount", encode_object({"metadata": metadata | crowded}))

    assert found == ("team-a/worker", "7", None)


def test_deeply_nested_managed_fields_are_not_parsed() -> None:
    fields: dict[str, object] = {}
    for _ in range(900):
        fields = {"f:a": fields}
    managed = [{"manager": "tool", "fieldsV1": fields}]

    assert read("ServiceAccount", annotations={ROLE: "web"}, managedFields=managed) == Metadata({}, {ROLE: "web"})


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(encode_field(2, "spec"), id="no-metadata"),
        pytest.param(encode_field(1, encode_field(1, "worker") + encode_field(12, b"")), id="empty-annotation"),
        pytest.param(encode_field(1, encode_field(12, encode_field(1, "a") * 2)), id="annotation-without-value"),
        pytest.param(b"\x0a\x7fx", id="longer-than-its-message"),
        pytest.param(encode_field(1, b"\x0b"), id="unknown-wire-type"),
        pytest.param(encode_field(1, b"\xff" * 11), id="long-number"),
    ],
)
def test_invalid_object_is_an_error(data: bytes) -> None:
    with pytest.raises(ObjectError):
        read_object("ServiceAccount", data)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        pytest.param("ServiceAccount", "x" * 900, True, id="ascii"),
        pytest.param("ServiceAccount", "x" * MAX_CACHED_BYTES["ServiceAccount"], False, id="too-much-ascii"),
        pytest.param("ServiceAccount", "x" * 300 + EMOJI, False, id="one-emoji-makes-four-bytes-a-character"),
        pytest.param("Namespace", "x" * 3900, True, id="namespaces-are-fewer"),
        pytest.param("Namespace", "x" * 4096, False, id="too-much-of-a-namespace"),
    ],
)
def test_cached_values_are_counted_in_bytes_of_memory(kind: str, value: str, *, expected: bool) -> None:
    assert fits_cache(kind, Metadata({}, {ROLE: value})) == expected
