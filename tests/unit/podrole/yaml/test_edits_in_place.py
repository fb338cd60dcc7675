"""Texts that are changed in place, and are the same bytes again when the change is taken back."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podrole.yaml.documents import Document, parse_documents
from podrole.yaml.rewrite import rewrite

ADDED = {"name": "podrole", "args": ["-v", "a: b # c"], "on": True, "resources": {"limits": {"cpu": 1}}}


def document_of(text: str, file: str = "app.yaml") -> Document:
    [document] = parse_documents(text, file)
    return document


def inject(content: Any) -> Any:
    """Add what an injection adds: list elements in front and behind, entries, a list that is not there yet."""
    wanted = copy.deepcopy(content)
    spec = wanted["spec"]
    spec["initContainers"] = [ADDED, *spec.get("initContainers", [])]
    for container in spec["containers"]:
        container["env"] = [*(container.get("env") or []), {"name": "A", "value": "22:22"}, {"name": "y"}]
    spec["volumes"] = [*(spec.get("volumes") or []), {"name": "podrole-token"}]
    wanted["metadata"] = {**(wanted.get("metadata") or {}), "annotations": {"podrole.io/status": '{"a":"b"}\n'}}
    return wanted


IN_PLACE = {
    "merge-key-of-a-container": (
        "kind: Pod\nspec:\n  containers:\n  - &c # one\n    name: one\n    image: a\n"
        "  - <<: *c # as one\n    name: two\n"
    ),
    "flow-mapping": "# head\nkind: Pod\nspec: {containers: [{name: app}]} # c\n",
    "flow-after-separator": "--- {kind: Pod, spec: {containers: [{name: app}]}} # c\n",
    "flow-of-several-lines": (
        "kind: Pod\nspec: {\n  # first\n  containers: [ # two\n    {name: app}, # app\n    {name: b}\n  ]\n}\n"
    ),
    "flow-with-trailing-commas": "kind: Pod\nspec: {containers: [{name: app, }, ], }\n",
    "flow-list-in-block": (
        "kind: Pod\nspec:\n  containers: [{name: app, env: [{name: Z, value: z}]}] # c\n  hostPID: false\n"
    ),
    "flow-elements": (
        "kind: Pod\nspec:\n  initContainers: [{name: i}]\n  containers:\n  - {name: app, image: 'a:1'} # c\n"
    ),
    "block-scalar-at-the-end": (
        "kind: Pod\nspec:\n  # app\n  containers:\n  - name: app\n    # why\n    args:\n    - |\n      a\n      b"
    ),
    "block-scalar-in-the-last-element": (
        "kind: Pod\nspec:\n  # app\n  containers:\n  - name: app\n    env:\n"
        "    - name: Z\n      # why\n      value: |\n        a\n        b"
    ),
    "folded-scalar-at-the-end": (
        "kind: Pod\nspec:\n  containers:\n  - name: app\n    description: >\n      a\n      b"
    ),
    "crlf": "kind: Pod\r\nspec: {containers: [{name: app}]} # c\r\n",
    "json": '{"kind": "Pod", "spec": {"containers": [{"name": "app"}]}}',
    "json-compact": '{"kind":"Pod","spec":{"containers":[{"name":"app"}]}}\n',
    "json-indented": (
        '{\n  "kind": "Pod",\n  "spec": {\n    "containers": [\n      {\n'
        '        "name": "app"\n      }\n    ]\n  }\n}\n'
    ),
    "json-tabs": '{\n\t"kind": "Pod",\n\t"spec": {\n\t\t"containers": [{"name": "app"}]\n\t}\n}\n',
    "json-mixed": (
        '{\n  "kind": "Pod", "x": ["a", "b"],\n  "y": [ 1 ,2 ],\n  "spec": { "containers": [ {"name": "app"} ] }\n}\n'
    ),
    "json-crlf": ('{\r\n  "kind": "Pod",\r\n  "spec": {\r\n    "containers": [{"name": "app"}]\r\n  }\r\n}\r\n'),
    "json-escapes": (
        '{"kind": "Pod", "x": "\\u00e9\\/\\ud83d\\ude00 \\u003c", "n": 1.0e5, "spec": '
        '{"containers": [{"name": "app"}]}}'
    ),
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in IN_PLACE.items()])
def test_change_and_its_reversal_leave_the_same_bytes(text: str) -> None:
    file = "app.json" if text.startswith("{") else "app.yaml"
    document = document_of(text, file)

    edited = rewrite(document, inject(document.content))

    changed = document_of(edited, file)
    assert changed.content == inject(document.content)
    assert rewrite(changed, document.content) == text


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in IN_PLACE.items()])
def test_comments_and_all_other_text_stay(text: str) -> None:
    document = document_of(text, "app.json" if text.startswith("{") else "app.yaml")

    edited = rewrite(document, inject(document.content))

    position = 0
    for character in text:  # the text is a subsequence of the edited one: nothing was removed
        position = edited.index(character, position) + 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('{"a": 1, "b": "x"}', '{"a": 2, "b": "x"}', id="number"),
        pytest.param('{"a": "1", "b": [ "x" ]}', '{"a": 2, "b": [ "x" ]}', id="string"),
        pytest.param('{"a": null}', '{"a": 2}', id="null"),
        pytest.param('{"a":[1]}', '{"a":2}', id="list"),
    ],
)
def test_value_in_json_is_replaced(text: str, expected: str) -> None:
    document = document_of(text, "app.json")

    assert rewrite(document, {**document.content, "a": 2}) == expected


@pytest.mark.parametrize(
    ("text", "keep", "expected"),
    [
        pytest.param("a: [1, 2, 3]\n", [2, 3], "a: [2, 3]\n", id="first"),
        pytest.param("a: [1, 2, 3]\n", [1, 3], "a: [1, 3]\n", id="middle"),
        pytest.param("a: [1, 2, 3]\n", [1, 2], "a: [1, 2]\n", id="last"),
        pytest.param("a: [1, 2, 3]\n", [3], "a: [3]\n", id="first-two"),
    ],
)
def test_elements_are_removed_with_their_commas(text: str, keep: list[int], expected: str) -> None:
    assert rewrite(document_of(text), {"a": keep}) == expected


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(
    old=VALUES,
    new=VALUES,
    indent=st.sampled_from([None, 1, "\t"]),
    spaces=st.sampled_from([(",", ":"), (" , ", " : ")]),
)
def test_any_json_is_rewritten_as_wanted(old: Any, new: Any, indent: Any, spaces: tuple[str, str]) -> None:
    text = json.dumps({"value": old}, indent=indent, separators=spaces, ensure_ascii=False)

    assert json.loads(rewrite(document_of(text, "app.json"), {"value": new})) == {"value": new}
