"""The token file and the form of the web identity call."""

import os
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config import Config
from sidecar.credentials.schedule import Failure
from sidecar.sts.web_identity import MAX_TOKEN_BYTES, assume_role, encode_form, load_token
from testing.sidecars import build_environ


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"", "TokenEmpty", id="empty"),
        pytest.param(b" \n", "TokenEmpty", id="blank"),
        pytest.param(b"\xff", "TokenUnreadable", id="not-ascii"),
        pytest.param("t\u00f6ken".encode(), "TokenUnreadable", id="utf-8"),
        pytest.param(b"x" * (MAX_TOKEN_BYTES + 1), "TokenUnreadable", id="too-large"),
    ],
)
def test_file_without_a_token_is_a_failure(content: bytes, code: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(content)

    failure = load_token(str(tmp_path / "token"))

    assert isinstance(failure, Failure)
    assert failure.code == code
    assert not failure.is_permanent
    assert str(tmp_path / "token") in failure.message


def test_directory_is_no_token(tmp_path: Path) -> None:
    failure = load_token(str(tmp_path))

    assert isinstance(failure, Failure)
    assert failure.code == "TokenUnreadable"


@pytest.mark.parametrize("has_writer", [False, True], ids=["without-a-writer", "that-is-silent"])
def test_pipe_is_no_token_and_is_not_waited_for(tmp_path: Path, has_writer: bool) -> None:  # noqa: FBT001 - a parameter
    path = tmp_path / "token"
    os.mkfifo(path)
    pipe = os.open(path, os.O_RDWR) if has_writer else None

    failure = load_token(str(path))

    assert failure == Failure("TokenEmpty", f"{path} is empty", is_permanent=False)
    if pipe is not None:
        os.close(pipe)


def test_endless_file_is_a_failure() -> None:
    failure = load_token("/dev/zero")

    assert failure == Failure("TokenUnreadable", f"/dev/zero has more than {MAX_TOKEN_BYTES} bytes", is_permanent=False)


@pytest.mark.parametrize("content", ["to.ke.n", "to.ke.n\n", " to.ke.n "])
def test_token_is_read_without_surrounding_blanks(content: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(content)

    assert load_token(str(tmp_path / "token")) == "to.ke.n"


@given(st.dictionaries(st.sampled_from(["A", "B", "C"]), st.text(alphabet=st.characters(codec="utf-8"))))
def test_form_is_decoded_unchanged(fields: dict[str, str]) -> None:
    encoded = encode_form(fields)

    assert encoded.isascii()
    assert dict(parse_qsl(encoded.decode(), keep_blank_values=True)) == fields


def test_no_failure_quotes_the_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("SECRET")
    for url in ("http://127.0.0.1:1", "https://127.0.0.1:1", "https://sts.invalid"):
        config = Config.from_environ(build_environ(tmp_path, url))

        failure = assume_role(config, config.role_arn, 900)

        assert isinstance(failure, Failure)
        assert "SECRET" not in repr(failure)
