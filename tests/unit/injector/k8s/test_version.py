"""Kubernetes versions."""

import pytest

from injector.errors import ObjectError
from injector.k8s.version import format_version, parse_version, read_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.34.4", (1, 34)),
        ("v1.31.2-eks-7f9249a", (1, 31)),
        ("1.34+", (1, 34)),
        ("1", None),
        ("one.two", None),
        ("", None),
        ("1." + "9" * 5000, None),
        ("9" * 5000 + ".1", None),
    ],
    ids=["git-version", "eks-version", "managed-minor", "no-minor", "words", "empty", "huge-minor", "huge-major"],
)
def test_first_two_numbers_are_the_version(text: str, version: tuple[int, int] | None) -> None:
    assert parse_version(text) == version


def test_version_is_formatted_as_major_and_minor() -> None:
    assert format_version((1, 34)) == "1.34"


def test_version_document_has_major_and_minor() -> None:
    assert read_version({"major": "1", "minor": "34+", "gitVersion": "v1.34.1-gke"}) == (1, 34)


@pytest.mark.parametrize("document", [{}, {"major": "1"}, {"major": 1, "minor": None}], ids=str)
def test_version_document_without_numbers_is_an_error(document: dict[str, object]) -> None:
    with pytest.raises(ObjectError, match="is not a Kubernetes version"):
        read_version(document)


def test_text_that_is_no_version_is_shortened() -> None:
    with pytest.raises(ObjectError) as found:
        read_version({"major": "x" * 10_000})
    assert len(str(found.value)) < 200
