"""An edited text reads as wanted, and keeps every line that need not change."""

import copy
import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from injector.decision.outcomes import Block, Inject
from podrole.yaml.documents import Document, parse_documents
from podrole.yaml.rewrite import rewrite
from testing.cases import CONFIG, Case
from tests.unit.injector.generated_pods import CASES

TEXT = """\
# A shop.
apiVersion: apps/v1   # of 2018
kind: Deployment
metadata: {name: shop, labels: {app: shop}}
spec:
  template:
    metadata:
      annotations:
        iam.amazonaws.com/role: reader  # only reads

    spec:
      # what runs
      containers:
        # the app
        - name: app # first
          image: 'example/app:1'
          env:
            - {name: A, value: "1"}   # one
            - name: B
              value: 0644

          # no ports
        - image: example/proxy:1
          name: proxy
      # the rest
      volumes: [] # none
# The end.
"""


def document_of(text: str) -> Document:
    [document] = parse_documents(text, "app.yaml")
    return document


def edit(text: str, change: Any) -> str:
    document = document_of(text)
    wanted = copy.deepcopy(document.content)
    change(wanted)
    edited = rewrite(document, wanted)
    assert document_of(edited).content == wanted
    return edited


def added_and_removed(before: str, after: str) -> tuple[list[str], list[str]]:
    lines, others = before.splitlines(), after.splitlines()
    return [line for line in others if line not in lines], [line for line in lines if line not in others]


def pod_of(content: Any) -> Any:
    return content["spec"]["template"]["spec"]


def test_unchanged_content_leaves_the_text_unchanged() -> None:
    assert edit(TEXT, lambda _: None) == TEXT


def test_new_key_is_added_after_the_last_one() -> None:
    edited = edit(TEXT, lambda d: d["spec"]["template"]["metadata"]["annotations"].update({"a/b": "on"}))

    assert added_and_removed(TEXT, edited) == (["        a/b: 'on'"], [])
    assert "reader  # only reads\n        a/b: 'on'\n\n" in edited


def test_new_elements_are_added_before_after_and_between() -> None:
    def change(content: Any) -> None:
        pod_of(content)["containers"].insert(0, {"name": "first"})
        pod_of(content)["containers"].insert(2, {"name": "second"})
        pod_of(content)["containers"].append({"name": "last"})

    edited = edit(TEXT, change)

    assert added_and_removed(TEXT, edited)[1] == []
    order = [edited.index(f"name: {name}") for name in ("first", "app", "second", "proxy", "last")]
    assert order == sorted(order)
    assert "containers:\n        - name: first\n        # the app\n" in edited


def test_empty_list_is_filled_and_its_comment_stays() -> None:
    edited = edit(TEXT, lambda d: pod_of(d).update(volumes=[{"name": "v"}]))

    assert "      volumes: # none\n        - name: v\n# The end." in edited


def test_value_is_replaced_within_its_quotes() -> None:
    def change(content: Any) -> None:
        pod_of(content)["containers"][0]["image"] = "example/app:2"
        pod_of(content)["containers"][0]["env"][0]["value"] = "2"

    edited = edit(TEXT, change)

    assert added_and_removed(TEXT, edited)[0] == [
        "          image: 'example/app:2'",
        '            - {name: A, value: "2"}   # one',
    ]


def test_element_is_removed_with_all_its_lines() -> None:
    edited = edit(TEXT, lambda d: pod_of(d)["containers"].pop(1))

    assert added_and_removed(TEXT, edited) == ([], ["        - image: example/proxy:1", "          name: proxy"])


def test_key_is_removed_with_all_its_lines() -> None:
    edited = edit(TEXT, lambda d: pod_of(d)["containers"][0].pop("env"))

    assert added_and_removed(TEXT, edited)[1] == [
        "          env:",
        '            - {name: A, value: "1"}   # one',
        "            - name: B",
        "              value: 0644",
    ]


def test_key_after_a_dash_is_removed_and_the_next_one_moves_up() -> None:
    edited = edit(TEXT, lambda d: pod_of(d)["containers"][1].pop("image"))

    assert "        - name: proxy\n" in edited


def test_crlf_line_endings_stay() -> None:
    text = TEXT.replace("\n", "\r\n")

    edited = edit(text, lambda d: pod_of(d).update(initContainers=[{"name": "a", "command": ["b"]}]))

    assert edited.count("\r\n") == edited.count("\n") > text.count("\n")


def test_missing_final_newline_stays_missing() -> None:
    assert edit("kind: Pod", lambda d: d.update(spec={"a": 1})) == "kind: Pod\nspec:\n  a: 1"
    assert edit("a: 1\r\nb: 2", lambda d: d.update(c=3)) == "a: 1\r\nb: 2\r\nc: 3"
    assert edit("a: 1\nb:\n- |\n  x", lambda d: d.update(a=2)) == "a: 2\nb:\n- |\n  x"


def test_new_lists_are_indented_as_in_the_rest_of_the_file() -> None:
    def change(content: Any) -> None:
        content["w"] = {"z": [1]}

    assert edit("x:\n- a\n", change) == "x:\n- a\nw:\n  z:\n  - 1\n"
    assert edit("x:\n  - a\n", change) == "x:\n  - a\nw:\n  z:\n    - 1\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("# head\nx: &x {name: app}\nspec:\n  containers: [*x]\n", id="alias-in-a-list"),
        pytest.param("# head\nx: &x\n  containers:\n  - name: app\nspec: *x\n", id="alias-as-value"),
        pytest.param("# head\nx: &x {containers: [{name: app}]}\nspec:\n  <<: *x\n", id="merge-key"),
        pytest.param("# head\n? spec\n: containers:\n  - name: app\n", id="explicit-key"),
        pytest.param("# head\n--- {spec: {<<: {containers: [{name: app}]}}}\n", id="content-after-separator"),
    ],
)
def test_text_that_cannot_be_edited_in_place_is_reformatted_below_its_head(text: str) -> None:
    document = document_of(text.replace("# head\n--- ", "--- "))
    wanted = copy.deepcopy(document.content)
    wanted["spec"]["containers"][0] = {"name": "app", "env": [{"name": "A", "value": "22:22"}]}
    wanted["spec"]["initContainers"] = [{"name": "i"}]

    edited = rewrite(document, wanted)

    assert document_of(edited).content == wanted
    assert edited.startswith(("# head\n", "---\n"))
    assert "*x" not in edited


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("value: |\n  a\n  b\nz: 1\n", id="literal"),
        pytest.param("value: >-\n  a\n\nz: 1\n", id="folded"),
        pytest.param("value: a\n  b\nz: 1\n", id="plain"),
    ],
)
def test_multi_line_value_is_replaced(text: str) -> None:
    edited = edit(text, lambda d: d.update(value="new"))

    assert edited.endswith("z: 1\n")


def test_list_that_becomes_empty_is_written_as_empty_list() -> None:
    assert "env: []" in edit("spec:\n  env:\n  - a\n", lambda d: d["spec"].update(env=[]))


@pytest.mark.parametrize("indent", [None, 2, 4, "\t"], ids=["one-line", "2", "4", "tab"])
def test_json_keeps_its_indentation(indent: Any) -> None:
    content = {"kind": "Pod", "é": ["<", 1, 1.5, None, True, 12345678901234567890], "spec": {}}
    text = json.dumps(content, indent=indent, ensure_ascii=False) + "\n"

    edited = edit(text, lambda d: d["spec"].update(a=[{"b": 1}]))

    assert edited == json.dumps({**content, "spec": {"a": [{"b": 1}]}}, indent=indent, ensure_ascii=False) + "\n"


def test_json_without_spaces_stays_without_spaces() -> None:
    assert edit('{"a":1}', lambda d: d.update(b=2)) == '{"a":1,"b":2}'


@settings(max_examples=60, deadline=None)
@given(case=CASES, style=st.sampled_from(["block", "flow", "mixed", "json"]), indent=st.sampled_from([2, 4]))
def test_any_pod_in_any_form_is_rewritten_as_wanted_and_back(case: Case, style: str, indent: int) -> None:
    if not isinstance(case.decide(), Inject | Block):
        return
    workload = {"kind": "PodTemplate", "template": case.pod}
    flow = {"block": False, "flow": True, "mixed": None}
    text = (
        json.dumps(workload)
        if style == "json"
        else yaml.safe_dump(workload, default_flow_style=flow[style], indent=indent)
    )
    wanted = {"kind": "PodTemplate", "template": case.inject(CONFIG)}

    edited = rewrite(document_of(text), wanted)
    back = rewrite(document_of(edited), workload)

    assert document_of(edited).content == wanted
    assert document_of(back).content == workload
    # YAML's null has no text again, and a text with explicit keys is reformatted.
    assert back == text or "null" in text or "? " in text
