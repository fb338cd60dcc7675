"""YAML is read as kubectl reads it, and written so that every parser reads it in the same way."""

import pytest
import yaml

from podrole.yaml.kube_yaml import MAX_NODES, compose, load, reformat, write, write_scalar

BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("a: 1\nb: 2\na: 3", "the key a appears twice", id="duplicate-key"),
        pytest.param("a: {b: 1, b: 2}", "the key b appears twice", id="duplicate-key-in-braces"),
        pytest.param("&a [*a]", "an alias contains itself", id="recursive-alias"),
        pytest.param(BOMB, "expand to more than any Kubernetes object can hold", id="alias-bomb"),
        pytest.param("a: !!python/object/apply:os.system [id]", "could not determine a constructor", id="python-tag"),
        pytest.param("a: !Sub x", "could not determine a constructor", id="custom-tag"),
        pytest.param("a: *nowhere", "undefined alias", id="undefined-alias"),
        pytest.param("[" * 20_000, "nest", id="nested-too-deeply"),
        pytest.param("a: b\n\tc: d", "tab", id="tab"),
        pytest.param("--- a\n--- b", "expected a single document", id="two-documents"),
    ],
)
def test_invalid_yaml_is_refused(text: str, problem: str) -> None:
    with pytest.raises(yaml.YAMLError, match=problem):
        load(text)


def test_document_with_many_nodes_is_read() -> None:
    assert len(load("[" + "x," * 50_000 + "]")) == 50_000 < MAX_NODES


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("22:22", "22:22"),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("0644", 420),
        ("0o644", 420),
        ("0x1F", 31),
        ("-0b101", -5),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        ("1.2.3", "1.2.3"),
        ("on", True),
        ("No", False),
        ("~", None),
        ("", None),
        ("'on'", "on"),
    ],
)
def test_scalar_is_read_as_by_kubectl(scalar: str, value: object) -> None:
    read = load(f"a: {scalar}")["a"]

    assert (read, type(read)) == (value, type(value))


def test_merge_key_is_expanded() -> None:
    assert load("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}")["b"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    "text",
    [
        "on",
        "y",
        "N",
        "22:22",
        "2024-01-01",
        "0o17",
        "0644",
        "1e3",
        ".5",
        "~",
        "null",
        "",
        "- a",
        "a: b",
        "#",
        "*a",
        "&a",
    ],
)
def test_string_that_a_parser_could_read_as_another_type_is_quoted(text: str) -> None:
    written = write({"a": text}, is_indented=False)

    assert load(written) == yaml.safe_load(written) == {"a": text}
    assert written.strip() in {f"a: '{text}'", f'a: "{text}"'}


@pytest.mark.parametrize("style", [None, "'", '"', "|", ">"])
@pytest.mark.parametrize(
    "value", ["a", "a,b", "a b: c", "on", "é", "a\nb", pytest.param("x" * 500, id="long"), "", " a ", 5, True, None]
)
def test_scalar_is_written_on_one_line(value: object, style: str | None) -> None:
    written = write_scalar(value, style)

    assert "\n" not in written
    assert load(f"a: {written}") == {"a": value}


def test_shared_values_are_written_without_aliases() -> None:
    shared = {"a": 1}

    assert write([shared, shared], is_indented=True) == "- a: 1\n- a: 1\n"


def test_reformatting_keeps_the_form_of_every_scalar() -> None:
    text = "{a: &a {mode: 0644, ratio: 1e3, on: off, at: 2024-01-01}, b: {<<: *a, mode: 0x1}, c: [*a, 'x', \"y\"]}"
    root = compose(text)
    assert root is not None

    written = reformat(root)

    assert load(written) == load(text)
    assert "mode: 0644" in written
    assert "ratio: 1e3" in written
    assert "&" not in written


def test_equals_sign_is_a_string() -> None:
    assert load("value: =\n") == {"value": "="}
    assert load(write({"value": "="}, is_indented=False)) == {"value": "="}
