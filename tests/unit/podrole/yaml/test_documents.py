"""Files of manifests, split into documents and joined again."""

import io
import os
import sys
import time
from pathlib import Path

import pytest

from injector.errors import ConfigError
from podrole.yaml.documents import (
    MAX_BYTES,
    MAX_DOCUMENTS,
    Document,
    join_documents,
    load_documents,
    parse_documents,
    read_text,
)


def error_of(text: str, file: str = "app.yaml") -> str:
    with pytest.raises(ConfigError) as caught:
        parse_documents(text, file)
    return str(caught.value)


def contents_of(documents: list[Document]) -> list[object]:
    return [document.content for document in documents if document.content is not None]


def join(documents: list[Document]) -> str:
    return join_documents(documents, [document.text for document in documents])


def test_tab_is_reported_with_file_document_and_line() -> None:
    message = error_of("a: 1\n---\n# two\nb:\n\tc: 1\n")

    assert message.startswith("app.yaml, document 2 (line 5, column 1): ")
    assert message.endswith("the line contains a tab, but YAML is indented with spaces")


def test_duplicate_key_is_reported_with_its_line() -> None:
    assert error_of("---\na: 1\na: 2\n") == "app.yaml, document 1 (line 3, column 1): the key a appears twice"


def test_invalid_json_is_reported_as_json_in_a_json_file() -> None:
    assert error_of('{"a": 1,}', "app.json").startswith("app.json: ")
    assert "property name" in error_of('{"a": 1,}', "app.json")


def test_duplicate_key_in_json_is_refused() -> None:
    assert error_of('{"a": 1, "a": 2}', "app.json") == "app.json: the key a appears twice in one object"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param("kind: Pod".encode("utf-16"), "is not UTF-8", id="utf-16"),
        pytest.param(b"a: \xff", "at byte 3", id="invalid-byte"),
        pytest.param(b"a: \x00", "document 1", id="null-byte"),
    ],
)
def test_file_that_is_not_text_is_reported(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "app.yaml"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=problem):
        load_documents([str(path)])


def test_directory_without_manifests_is_reported(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("kind: Pod")

    with pytest.raises(ConfigError, match=f"no manifests in {tmp_path}"):
        load_documents([str(tmp_path)])


def test_unreadable_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "loop.yaml"
    path.symlink_to(path)

    with pytest.raises(ConfigError, match=r"loop\.yaml cannot be read: Too many levels"):
        load_documents([os.fspath(path)])


BOMB = "a: &a [" + "x, " * 900 + "]\nb: &b [" + "*a, " * 500 + "]\n"
"""Half of the values that all documents can have, in a few lines."""

TOO_LARGE = {
    "bytes": ("a: " + "x" * MAX_BYTES, "32 MiB"),
    "separators": ("---\n" * (MAX_DOCUMENTS + 1), "10000 documents"),
    "json-lines": ("{}\n" * (MAX_DOCUMENTS + 1), "10000 documents"),
    "short-values": ("[" + "x," * 2_000_001 + "]", "2000000 commas, colons and lines"),
    "short-json-values": ("[" + "1," * 2_000_001 + "1]", "2000000 commas, colons and lines"),
    "json-values": ("[" + "{}," * 1_000_000 + "{}]", "1000000 values"),
    "documents-with-aliases": (f"{BOMB}---\n" * 3, "1000000 values"),
}
too_large = pytest.mark.parametrize(("text", "limit"), [pytest.param(*one, id=name) for name, one in TOO_LARGE.items()])


@too_large
def test_too_large_manifests_are_refused(tmp_path: Path, text: str, limit: str) -> None:
    path = tmp_path / "app.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError) as caught:
        load_documents([str(path)])

    assert (
        str(caught.value) == f"the manifests are too large: with {path} they have more than {limit}. Give fewer at once"
    )


def test_too_large_manifests_of_stdin_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"#" * (MAX_BYTES + 1))))

    with pytest.raises(ConfigError, match="with - they have more than 32 MiB"):
        load_documents(["-"])


def test_file_without_an_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="with /dev/zero they have more than 32 MiB"):
        load_documents(["/dev/zero"])


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        pytest.param("# " + "x" * (MAX_BYTES // 2), "32 MiB", id="bytes"),
        pytest.param("---\n" * (MAX_DOCUMENTS // 2 + 1), "10000 documents", id="documents"),
        pytest.param(f"{BOMB}---\n{BOMB}", "1000000 values", id="values"),
    ],
)
def test_files_of_a_directory_count_together(tmp_path: Path, text: str, limit: str) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(text)

    with pytest.raises(ConfigError, match=f"with .*b.yaml they have more than {limit}"):
        load_documents([str(tmp_path)])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 100_000, id="yaml"),
        pytest.param("- " * 100_000, id="block-sequences"),
        pytest.param('{"a":' * 100_000, id="json"),
    ],
)
def test_manifests_that_are_nested_too_deeply_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "app.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match="nest"):
        load_documents([str(path)])


def test_object_with_many_keys_and_many_documents_are_read_in_linear_time(tmp_path: Path) -> None:
    """Both took a time that grew with the square of their number."""
    keys = ",".join(f'"key-{number}":0' for number in range(100_000))
    (tmp_path / "keys.json").write_text(f"{{{keys}}}")
    (tmp_path / "lines.json").write_text("{}\n" * 4_000 + " " * 8_000_000)
    begin = time.process_time()

    load_documents([str(tmp_path)])

    assert time.process_time() - begin < 10


def test_stdin_can_be_given_only_once() -> None:
    with pytest.raises(ConfigError, match="twice"):
        load_documents(["-", "-"])


def test_directory_is_read_in_order_and_without_subdirectories(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text("b: 1")
    (tmp_path / "a.yaml").write_text("a: 1")
    (tmp_path / "c.json").write_text('{"c": 1}')
    (tmp_path / "d.txt").write_text("d: [")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "e.yaml").write_text("e: 1")

    shallow = load_documents([str(tmp_path)])
    deep = load_documents([str(tmp_path)], recursive=True)

    assert contents_of(shallow) == [{"a": 1}, {"b": 1}, {"c": 1}]
    assert {"e": 1} in contents_of(deep)


@pytest.mark.parametrize(
    ("text", "contents"),
    [
        pytest.param("", [], id="empty"),
        pytest.param("# nothing\n", [], id="only-comment"),
        pytest.param("---\n---\n# nothing\n---\n", [], id="only-separators"),
        pytest.param("a: 1", [{"a": 1}], id="no-final-newline"),
        pytest.param(
            "# head\na: 1\n---\n# between\n---\nb: |\n  --- no\n...\n",
            [{"a": 1}, {"b": "--- no\n"}],
            id="comments-and-block-scalar",
        ),
        pytest.param("%YAML 1.1\n---\na: 1\n", [{"a": 1}], id="directive"),
        pytest.param("--- {a: 1}\n--- # two\nb: 2\n", [{"a": 1}, {"b": 2}], id="content-after-separator"),
        pytest.param("a: 1\r\n---\r\nb: 2\r\n", [{"a": 1}, {"b": 2}], id="crlf"),
        pytest.param('{"a": 1}\n{"b": 2}\n', [{"a": 1}, {"b": 2}], id="json-lines"),
        pytest.param("{a: 1, b: [c]}", [{"a": 1, "b": ["c"]}], id="flow-mapping"),
        pytest.param("---x: 1\n", [{"---x": 1}], id="key-that-begins-with-dashes"),
    ],
)
def test_split_and_joined_text_is_unchanged(text: str, contents: list[object]) -> None:
    documents = parse_documents(text, "app.yaml")

    assert contents_of(documents) == contents
    assert join(documents) == text


def test_empty_documents_are_not_counted() -> None:
    documents = parse_documents("# head\n---\na: 1\n---\n---\nb: 2\n", "app.yaml")

    assert [document.number for document in documents if document.content] == [1, 2]


def test_byte_order_mark_is_not_part_of_a_document(tmp_path: Path) -> None:
    path = tmp_path / "app.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")

    [document] = load_documents([str(path)])

    assert (document.text, document.content, document.has_byte_order_mark) == ("a: 1\n", {"a": 1}, True)
    assert join([document]) == "\ufeffa: 1\n"
    assert read_text(str(path)) == "a: 1\n"


@pytest.mark.parametrize(
    ("texts", "joined"),
    [
        pytest.param(["a: 1", "b: 2"], "a: 1\n---\nb: 2", id="two-files"),
        pytest.param(["a: 1\n---\nb: 2\n", "---\nc: 3\n"], "a: 1\n---\nb: 2\n---\nc: 3\n", id="separator-at-the-start"),
        pytest.param(["# one\na: 1\n", "# two\nb: 2\n"], "# one\na: 1\n---\n# two\nb: 2\n", id="comments"),
        pytest.param(['{"a": 1}', '{"b": 2}\n'], '{"a": 1}\n{"b": 2}\n', id="only-json"),
        pytest.param(['{"a": 1}\n{"b": 2}', "c: 3"], '---\n{"a": 1}\n---\n{"b": 2}\n---\nc: 3', id="json-before-yaml"),
        pytest.param(["a: 1", '{"b": 2}'], 'a: 1\n---\n{"b": 2}', id="yaml-before-json"),
    ],
)
def test_several_files_are_joined_into_one_stream_with_equal_content(texts: list[str], joined: str) -> None:
    documents = [document for index, text in enumerate(texts) for document in parse_documents(text, f"{index}.yaml")]

    together = join(documents)

    assert together == joined
    assert contents_of(parse_documents(together, "-")) == contents_of(documents)
