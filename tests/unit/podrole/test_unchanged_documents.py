"""Documents in which nothing changes are printed byte for byte."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from injector.errors import ConfigError
from podrole.yaml.documents import join_documents, parse_documents
from tests.unit.podrole.conftest import Run
from tests.unit.podrole.manifest_texts import DEPLOYMENT, SERVICE

MARK = "\ufeff"
TEXTS = {
    "no-final-newline": SERVICE.removesuffix("\n"),
    "several-final-newlines": f"{SERVICE}\n\n",
    "crlf": SERVICE.replace("\n", "\r\n"),
    "crlf-and-no-final-newline": SERVICE.replace("\n", "\r\n").removesuffix("\r\n"),
    "byte-order-mark": f"{MARK}{SERVICE}",
    "byte-order-mark-and-json": f'{MARK}{{"kind": "Service"}}',
    "only-comments": "# nothing\n# here",
    "only-separators": "---\n---\n",
    "empty-documents": f"---\n---\n{SERVICE}---\n\n---\n",
    "comments-around": f"# first\n---\n{SERVICE}---\n# last",
    "directive": f"%YAML 1.1\n---\n{SERVICE}...\n",
    "json": '{"kind": "Service"}',
    "json-lines": ' {"kind": "Service"}\n\n{"kind": "Service"} \n',
    "trailing-spaces": "kind: Service   \nmetadata:  {name:   a}\t\n",
    "block-scalar-without-final-newline": "kind: ConfigMap\ndata:\n  a: |\n    b",
}


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("command", ["inject", "uninject"])
@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in TEXTS.items()])
def test_unchanged_document_is_printed_byte_for_byte(run: Run, command: str, text: str) -> None:
    result = run(command, "-f", "-", stdin=text.encode())

    assert (result.code, result.stdout) == (0, text)


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in TEXTS.items() if "json" not in name])
def test_unchanged_document_after_a_changed_one_is_printed_byte_for_byte(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_bytes(DEPLOYMENT.encode())
    (tmp_path / "b.yaml").write_bytes(text.encode())

    result = run("inject", "-f", str(tmp_path))

    assert "podrole-sidecar" in result.stdout
    assert result.stdout.endswith(text.removeprefix(MARK))


@pytest.mark.usefixtures("settings")
def test_byte_order_mark_in_the_middle_of_the_output_is_dropped(run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_bytes(f"{MARK}{SERVICE}".encode())

    assert run("inject", "-f", str(tmp_path)).stdout == f"{MARK}{SERVICE}---\n{SERVICE}"


PIECES = st.sampled_from(["", "# comment", "---", "--- # two", "...", "a: 1", "b:", "  - c", "  - |", "    d", " "])


@settings(max_examples=200, deadline=None)
@given(
    pieces=st.lists(PIECES, max_size=12),
    newline=st.sampled_from(["\n", "\r\n"]),
    is_marked=st.booleans(),
    has_final_newline=st.booleans(),
)
def test_any_text_that_can_be_read_is_joined_byte_for_byte(
    pieces: list[str],
    newline: str,
    is_marked: bool,  # noqa: FBT001 - hypothesis names it
    has_final_newline: bool,  # noqa: FBT001 - hypothesis names it
) -> None:
    text = MARK * is_marked + newline.join(pieces) + newline * has_final_newline
    try:
        documents = parse_documents(text, "app.yaml")
    except ConfigError:
        return

    assert join_documents(documents, [document.text for document in documents]) == text
