"""The only writer of the command: whatever a text contains, a terminal gets no control character but a line break."""

import json
import logging
from typing import Any

import click

from contract.text import escape, quote

MAX_LOGGED = 500
"""Characters of a library's message that are shown."""


def write(text: str, *, is_error: bool = False) -> None:
    """Write lines of text to standard output, or to standard error."""
    click.echo(escape(text), err=is_error)  # noqa: TID251 - the only place


def write_json(document: Any) -> None:
    """Write a document for programs: in ASCII, so that all other characters are JSON's escapes."""
    click.echo(json.dumps(document, indent=2))  # noqa: TID251 - likewise


def write_manifests(text: str) -> None:
    """Write manifests byte for byte: kubectl reads them."""
    click.echo(text, nl=False)  # noqa: TID251 - likewise


class TerminalHandler(logging.Handler):
    """Writes what libraries log, such as urllib3 about a header that is not valid: without a traceback, on one line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the message."""
        write(f"{record.levelname.lower()}: {quote(record.getMessage(), MAX_LOGGED)}", is_error=True)
