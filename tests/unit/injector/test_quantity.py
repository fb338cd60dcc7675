from fractions import Fraction

import pytest
from kubernetes.utils.quantity import parse_quantity as parse_as_the_client

from injector.quantity import parse_quantity


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "1",
        "500m",
        "0.5",
        ".5",
        "1.",
        "1.5Gi",
        "100n",
        "7u",
        "3k",
        "1M",
        "2G",
        "1T",
        "1P",
        "1E",
        "64Ki",
        "2Mi",
        "1Ti",
        "1Pi",
        "1Ei",
        "1e3",
        "1E3",
        "12e-3",
        "5e+2",
        "+1",
    ],
)
def test_quantity_has_the_value_that_kubernetes_gives_it(text: str) -> None:
    assert parse_quantity(text) == Fraction(parse_as_the_client(text))  # type: ignore[no-untyped-call] # not annotated


def test_number_of_a_yaml_file_is_a_quantity() -> None:
    assert [parse_quantity(2), parse_quantity(0.5)] == [Fraction(2), Fraction(1, 2)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "-1",
        "++1",
        "1 Gi",
        "1gi",
        "1K",
        "m",
        "1e",
        "1e999",
        "9" * 21,
        "1Gi\n",
        "\u0661",
        "1.2.3",
        None,
        True,
        {},
    ],
    ids=repr,
)
def test_text_that_is_no_quantity_has_no_value(text: object) -> None:
    assert parse_quantity(text) is None
