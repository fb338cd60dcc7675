"""Splits files of manifests into documents, and joins documents into one stream for kubectl."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from injector.errors import ConfigError
from podrole.terminal import write
from podrole.yaml.kube_yaml import load

SUFFIXES = {".yaml", ".yml", ".json"}
"""What kubectl reads in a directory."""

STDIN = "-"
BYTE_ORDER_MARK = "\ufeff"
SEPARATOR = re.compile(r"^---(?=\s|\Z)", re.MULTILINE)
WITHOUT_CONTENT = re.compile(r"%.*|(?:---|\.\.\.)?[ \t]*(?:#.*)?")
"""A line with nothing but a marker, a directive or a comment."""


@dataclass(frozen=True)
class Document:
    """One document of a file."""

    file: str
    number: int
    """Counted from 1, without empty documents."""

    text: str
    """From the file, with the separator before it and all comments."""

    content: Any
    """As kubectl reads it; None where there are only comments."""

    is_json: bool = False
    has_byte_order_mark: bool = False
    """Whether the file has a byte order mark before this document."""

    @property
    def location(self) -> str:
        """File and number, for messages."""
        return f"{self.file}, document {self.number}"


def load_documents(paths: Sequence[str], *, recursive: bool = False) -> list[Document]:
    """Read all documents of files, directories and stdin (`-`), in order. Raises ConfigError."""
    if paths.count(STDIN) > 1:
        raise ConfigError("-f - is given twice: stdin can be read only once")
    files = [file for path in paths for file in _find_files(path, recursive=recursive)]
    try:
        return [document for file in files for document in parse_documents(_read(file), file)]
    except RecursionError as error:
        raise ConfigError("the manifests are nested too deeply") from error


def parse_documents(text: str, file: str) -> list[Document]:
    """Split the text of one file. Raises ConfigError with file, document and line."""
    if text.startswith(BYTE_ORDER_MARK):
        first, *others = parse_documents(text.removeprefix(BYTE_ORDER_MARK), file)
        return [replace(first, has_byte_order_mark=True), *others]
    if text.lstrip()[:1] in {"{", "["}:
        try:
            return list(_split_json(text, file))
        except ValueError as error:
            # A file that begins with a brace can also be YAML.
            if file.endswith(".json"):
                raise ConfigError(f"{file}: {error}") from error
    return list(_split_yaml(text, file))


def join_documents(documents: Sequence[Document], texts: Sequence[str]) -> str:
    """Join documents into one stream for kubectl, which reads a stream either as JSON or as YAML.

    If any is YAML, the JSON ones become YAML documents. A byte order mark stays only at the start of the stream, as
    kubectl does not read one in the middle.
    """
    is_yaml = not all(document.is_json for document in documents)
    joined = ""
    for document, text in zip(documents, texts, strict=True):
        if joined and not joined.endswith("\n"):
            joined += "\n"
        is_first_of_file = document.number == 1 and bool(joined)
        if is_yaml and (document.is_json or is_first_of_file) and not SEPARATOR.match(text):
            joined += "---\n"
        joined += text
    has_mark = bool(documents) and documents[0].has_byte_order_mark
    return f"{BYTE_ORDER_MARK}{joined}" if has_mark else joined


def _find_files(path: str, *, recursive: bool) -> Iterator[str]:
    if path == STDIN or not Path(path).is_dir():
        yield path
        return
    inside = Path(path).rglob("*") if recursive else Path(path).iterdir()
    files = sorted(str(file) for file in inside if file.suffix in SUFFIXES and file.is_file())
    if not files:
        hint = "" if recursive else ", or add --recursive for its subdirectories"
        raise ConfigError(f"there are no manifests in {path}: use a directory with .yaml, .yml or .json files{hint}")
    yield from files


def read_text(file: str, max_bytes: int | None = None) -> str:
    """Read a small file or stdin (`-`), without a byte order mark. Raises ConfigError, also where it has more bytes."""
    return _read(file, max_bytes).removeprefix(BYTE_ORDER_MARK)


def _read(file: str, max_bytes: int | None = None) -> str:
    if file == STDIN and sys.stdin.isatty():
        write("reading from the terminal: end with Ctrl-D", is_error=True)
    size = -1 if max_bytes is None else max_bytes + 1
    try:
        with nullcontext(sys.stdin.buffer) if file == STDIN else Path(file).open("rb") as opened:
            content = opened.read(size)
        if max_bytes is not None and len(content) > max_bytes:
            raise ConfigError(f"{file} has more than {max_bytes} bytes")
        return content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error


def _split_json(text: str, file: str) -> Iterator[Document]:
    decoder = json.JSONDecoder(object_pairs_hook=_build_object)
    start, number = 0, 0
    while start < len(text):
        number += 1
        content, end = decoder.raw_decode(text, len(text) - len(text[start:].lstrip()))
        end = len(text) - len(text[end:].lstrip())
        yield Document(file, number, text[start:end], content, is_json=True)
        start = end


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"the key {twice[0]} appears twice in one object")
    return dict(pairs)


def _split_yaml(text: str, file: str) -> Iterator[Document]:
    # This marker at the start of a line ends a document, also within a scalar: https://yaml.org/spec/1.2.2/#912-document-markers
    starts = [0, *(match.start() for match in SEPARATOR.finditer(text) if match.start() > 0), len(text)]
    number = 1
    for start, end in pairwise(starts):
        document = Document(file, number, text[start:end], None)
        if all(WITHOUT_CONTENT.fullmatch(line) for line in document.text.splitlines()):
            yield document
            continue
        yield replace(document, content=_load(document, text.count("\n", 0, start)))
        number += 1


def _load(document: Document, lines_before: int) -> Any:
    try:
        return _expand_aliases(load(document.text))
    except yaml.MarkedYAMLError as error:
        problem, place = " ".join(filter(None, (error.context, error.problem))), ""
        if mark := error.problem_mark or error.context_mark:
            place = f" (line {lines_before + mark.line + 1}, column {mark.column + 1})"
            if "\t" in "".join(document.text.splitlines()[mark.line : mark.line + 1]):
                problem += ": the line contains a tab, but YAML is indented with spaces"
        raise ConfigError(f"{document.location}{place}: {problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{document.location}: {error}") from error


def _expand_aliases(value: Any) -> Any:
    """Copy what an alias shares: a patch of one container must not change another."""
    if isinstance(value, dict):
        return {key: _expand_aliases(element) for key, element in value.items()}
    return [_expand_aliases(element) for element in value] if isinstance(value, list) else value
