"""Files that another program replaces: what goes wrong never ends the reload, and never replaces what was loaded."""

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from injector.certs.watched_files import MAX_BYTES, MAX_READS, Messages, WatchedFiles
from injector.deadlines import CERT_RELOAD_SECONDS
from injector.errors import CertificateError
from testing.clock import Clock

MESSAGES = Messages("The old one stays", "new one")


class Loader:
    """Loads a text, or raises the error that a test sets."""

    error: Exception | None = None

    def __call__(self, contents: list[bytes]) -> str:
        if self.error:
            raise self.error
        return contents[0].decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "file"
    found.write_text("old")
    return found


@pytest.mark.parametrize(
    ("error", "message"),
    [
        pytest.param(RuntimeError("no such curve"), "no such curve", id="unforeseen"),
        pytest.param(MemoryError(), "MemoryError", id="without-a-message"),
        pytest.param(CertificateError("it is damaged"), "it is damaged", id="foreseen"),
    ],
)
def test_any_error_of_a_reload_keeps_what_was_loaded(
    path: Path, caplog: pytest.LogCaptureFixture, error: Exception, message: str
) -> None:
    load, clock = Loader(), Clock()
    watched = WatchedFiles((path,), load, MESSAGES, clock)
    load.error = error
    path.write_text("damaged")

    with caplog.at_level(logging.INFO):
        kept = [watched.read()]
        clock.now += CERT_RELOAD_SECONDS
        kept.append(watched.read())
        load.error = None
        clock.now += CERT_RELOAD_SECONDS

        assert watched.read() == "damaged"
    assert kept == ["old", "old"]
    assert watched.load_failures == 2
    assert caplog.messages == [
        f"{path} cannot be loaded: {message}. The old one stays",
        f"new one loaded from {path}",
    ]


def test_any_error_at_the_start_is_a_certificate_error(path: Path) -> None:
    load = Loader()
    load.error = RuntimeError("no such curve")

    with pytest.raises(CertificateError, match="cannot be loaded: no such curve"):
        WatchedFiles((path,), load, MESSAGES)


def test_file_without_end_is_not_read(path: Path) -> None:
    path.write_bytes(bytes(MAX_BYTES + 1))

    with pytest.raises(CertificateError, match="has more than 1 MiB"):
        WatchedFiles((path,), Loader(), MESSAGES)


def test_file_that_changes_at_each_read_is_read_a_few_times(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    original: Any = Path.open

    def open_and_change(self: Path, mode: str) -> object:
        opened.append(self)
        os.utime(self, ns=(len(opened), len(opened)))
        return original(self, mode)

    monkeypatch.setattr(Path, "open", open_and_change)

    with pytest.raises(CertificateError, match="they change while they are read"):
        WatchedFiles((path,), Loader(), MESSAGES)
    assert len(opened) == MAX_READS
