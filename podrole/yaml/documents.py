"""Splits files of manifests into documents, and joins documents into one stream for kubectl."""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import yaml

from injector.errors import ConfigError
from podrole.terminal import write
from podrole.yaml.kube_yaml import MAX_NODES, load

SUFFIXES = {".yaml", ".yml", ".json"}
"""What kubectl reads in a directory."""

STDIN = "-"
BYTE_ORDER_MARK = "\ufeff"
SEPARATOR = re.compile(r"^---(?=\s|\Z)", re.MULTILINE)
WITHOUT_CONTENT = re.compile(r"%.*|(?:---|\.\.\.)?[ \t]*(?:#.*)?")
"""A line with nothing but a marker, a directive or a comment."""


MAX_BYTES = 32 * 1024 * 1024
"""Of all files of one option together. An object in etcd has at most 1.5 MiB."""

MAX_DOCUMENTS = 10_000
"""Of all files of one option together, also empty ones."""

MAX_SEPARATORS = 2 * MAX_NODES
"""Of a file: so many values can follow them, and each takes some hundred bytes of memory before it can be counted."""

SPACE = re.compile(r"\s*")


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
        return [*_read_all(files)]
    except RecursionError as error:
        raise ConfigError("the manifests are nested too deeply") from error


def _read_all(files: Iterable[str]) -> Iterator[Document]:
    """Read files one after the other, until all of them together are too large."""
    left, values, number = MAX_BYTES, 0, 0
    for file in files:
        content = _read_bytes(file, left)
        left -= len(content)
        _check_limit(-left, 0, f"{MAX_BYTES >> 20} MiB", file)
        text = _decode(content, file)
        _check_limit(sum(map(text.count, ",:\n")), MAX_SEPARATORS, f"{MAX_SEPARATORS} commas, colons and lines", file)
        for document in _split(text, file):
            number += 1
            values += _count_values(document.content)
            _check_limit(number, MAX_DOCUMENTS, f"{MAX_DOCUMENTS} documents", file)
            _check_limit(values, MAX_NODES, f"{MAX_NODES} values", file)
            yield document


def _check_limit(number: int, maximum: int, what: str, file: str) -> None:
    if number > maximum:
        raise ConfigError(f"the manifests are too large: with {file} they have more than {what}. Give fewer at once")


def _count_values(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + len(value) + sum(map(_count_values, value.values()))
    return 1 + sum(map(_count_values, value)) if isinstance(value, list) else 1


def parse_documents(text: str, file: str) -> list[Document]:
    """Split the text of one file. Raises ConfigError with file, document and line."""
    return [*_split(text, file)]


def _split(text: str, file: str) -> Iterator[Document]:
    if text.startswith(BYTE_ORDER_MARK):
        documents = _split(text.removeprefix(BYTE_ORDER_MARK), file)
        yield from (replace(one, has_byte_order_mark=index == 0) for index, one in enumerate(documents))
        return
    if text.lstrip()[:1] in {"{", "["}:
        try:
            yield from [*_split_json(text, file)]
        except ValueError as error:
            # A file that begins with a brace can also be YAML.
            if file.endswith(".json"):
                raise ConfigError(f"{file}: {error}") from error
        else:
            return
    yield from _split_yaml(text, file)


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
    content = _read_bytes(file, max_bytes)
    if max_bytes is not None and len(content) > max_bytes:
        raise ConfigError(f"{file} has more than {max_bytes} bytes")
    return _decode(content, file).removeprefix(BYTE_ORDER_MARK)


def _read_bytes(file: str, max_bytes: int | None) -> bytes:
    """Read a file, and no more than one byte beyond the limit."""
    if file == STDIN and sys.stdin.isatty():
        write("reading from the terminal: end with Ctrl-D", is_error=True)
    size = -1 if max_bytes is None else max_bytes + 1
    try:
        with nullcontext(sys.stdin.buffer) if file == STDIN else Path(file).open("rb") as opened:
            return opened.read(size)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error


def _decode(content: bytes, file: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8") from error


def _split_json(text: str, file: str) -> Iterator[Document]:
    decoder = json.JSONDecoder(object_pairs_hook=_build_object)
    start, number = 0, 0
    while start < len(text):
        number += 1
        _check_limit(number, MAX_DOCUMENTS, f"{MAX_DOCUMENTS} documents", file)
        content, end = decoder.raw_decode(text, _skip_space(text, start))
        end = _skip_space(text, end)
        yield Document(file, number, text[start:end], content, is_json=True)
        start = end


def _skip_space(text: str, start: int) -> int:
    found = SPACE.match(text, start)
    return found.end() if found else start


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {twice} appears twice in one object")
    return built


def _split_yaml(text: str, file: str) -> Iterator[Document]:
    # This marker at the start of a line ends a document, also within a scalar: https://yaml.org/spec/1.2.2/#912-document-markers
    found = (match.start() for match in SEPARATOR.finditer(text) if match.start() > 0)
    starts = [0, *islice(found, MAX_DOCUMENTS), len(text)]
    _check_limit(len(starts) - 1, MAX_DOCUMENTS, f"{MAX_DOCUMENTS} documents", file)
    number, lines = 1, 0
    for start, end in pairwise(starts):
        document = Document(file, number, text[start:end], None)
        if all(WITHOUT_CONTENT.fullmatch(line) for line in document.text.splitlines()):
            yield document
        else:
            yield replace(document, content=_load(document, lines))
            number += 1
        lines += document.text.count("\n")


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
