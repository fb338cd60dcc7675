"""Writes a changed object back into its original text; comments, order and quotes of all unchanged parts stay.

Every edit is verified by reading the result again. A text that cannot be edited in place (aliases) is reformatted
first, which loses its comments.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import yaml
from yaml.nodes import Node

from podrole.yaml.documents import Document
from podrole.yaml.edits import Editor, UneditableError, find_last
from podrole.yaml.flow import Edit, FlowLayout
from podrole.yaml.json_nodes import compose_json
from podrole.yaml.kube_yaml import compose, construct, load, reformat, write

MARK = " # ended the file before podrole"
"""After a block scalar's `-`, which is not the author's: so lines can follow it without a change of its value."""

BLOCK_SCALAR = re.compile(r"[|>][1-9]?(?=\r?\n)")


def rewrite(document: Document, wanted: Any) -> str:
    """Return the document's text, changed so that it reads as `wanted`. A missing final newline stays missing."""
    if document.content == wanted:
        return document.text
    if document.is_json:
        return _rewrite_json(document, wanted)
    edits = (_try_edit(text, document.content, wanted) for text in _find_forms(document.text))
    edited = next((text for text in edits if text is not None), None)
    written = edited or _find_head(document.text) + write(wanted, is_indented=False)
    trimmed = written.removesuffix("\n").removesuffix("\r")
    # The final newline of a block scalar belongs to its value.
    if document.text.endswith("\n") or load(trimmed) != wanted:
        return written
    unmarked = trimmed.replace(f"-{MARK}", "")
    return unmarked if load(unmarked) == wanted else trimmed


def _rewrite_json(document: Document, wanted: Any) -> str:
    text = document.text
    with suppress(UneditableError, ValueError):
        editor = Editor(text, is_json=True)
        editor.change(compose_json(text), document.content, wanted)
        edited = _apply(text, editor.edits)
        if json.loads(edited) == wanted:
            return edited
    start, end = len(text) - len(text.lstrip()), len(text.rstrip())
    return text[:start] + FlowLayout(text, is_json=True).write(wanted, start) + text[end:]


def _find_forms(text: str) -> Iterator[str]:
    """The text with a final newline, then as it is, then with a mark in place of that newline, then reformatted."""
    newline = "\r\n" if "\r\n" in text else "\n"
    root = compose(text)
    if not text.endswith("\n"):
        yield text + newline
    yield text
    if root is not None and not text.endswith("\n") and (header := _find_header(text, root)):
        yield f"{text[:header]}-{MARK}{text[header:]}{newline}"
    if root is not None:
        yield _find_head(text) + reformat(root)


def _find_header(text: str, root: Node) -> int | None:
    """The index after the indicator of a block scalar at the end, whose last line has no line break."""
    start = find_last(root).start_mark.index
    match = BLOCK_SCALAR.match(text, start)
    return match.end() if match else None


def _find_head(text: str) -> str:
    """The separator and the comments before the object."""
    root = compose(text)
    head = text[: root.start_mark.index].rstrip(" ") if root else ""
    return head if not head or head.endswith("\n") else f"{head}\n"


def _try_edit(text: str, old: Any, wanted: Any) -> str | None:
    """Return the edited text if it reads as wanted, else None."""
    root = compose(text)
    if root is None:
        return None
    try:
        editor = Editor(text)
        editor.change(root, old, wanted)
        edited = _apply(text, editor.edits)
        again = compose(edited)
        return edited if again is not None and construct(again) == wanted else None
    except (UneditableError, yaml.YAMLError):
        return None


def _apply(text: str, edits: Sequence[Edit]) -> str:
    parts, done = [], 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        if edit.start < done:
            raise UneditableError
        parts += [text[done : edit.start], edit.text]
        done = edit.end
    return "".join([*parts, text[done:]])
