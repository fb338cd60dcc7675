"""Runs both clients of STS in this process: the sidecar's own, and boto3 as the reference."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl

import pytest

from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure
from sidecar.sts import web_identity
from testing.sidecars import build_environ
from tests.integration.sidecar import sts_reference
from tests.integration.sidecar.sts_answers.answer import GRANTED

NOW = 1_795_990_000.0
TOKEN = "eyJhbGciOi.J9.c2ln-_~=&+/%"

Outcome = Credentials | Failure


class ReceivedRequest(NamedTuple):
    """A request, parsed."""

    line: str
    headers: dict[str, str]
    form: dict[str, str]

    @property
    def host(self) -> str:
        return self.headers["host"]

    @property
    def content_type(self) -> str:
        return self.headers["content-type"]


class BothClients:
    """Asks the same server twice, at the same time by their clock."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._directory = directory
        self._monkeypatch = monkeypatch
        (directory / "token").write_text(TOKEN)

    def ask(self, url: str, within_seconds: float = 5, **settings: str) -> tuple[Outcome, Outcome]:
        """The outcome of the sidecar's client, and that of boto3, which has that time for each read."""
        config = Config.from_environ(build_environ(self._directory, url, **settings))
        limits = web_identity.LIMITS._replace(total_seconds=within_seconds)
        self._monkeypatch.setattr(web_identity, "LIMITS", limits)
        ours = web_identity.assume_role(config, config.role_arn, config.session_duration_seconds, lambda: NOW)
        return ours, sts_reference.assume_role(config, TOKEN, NOW, within_seconds)

    @staticmethod
    def parse(request: bytes) -> ReceivedRequest:
        """Parse a request with a form."""
        head, _, form = request.decode().partition("\r\n\r\n")
        line, *headers = head.split("\r\n")
        parsed = {name.lower(): value.strip() for name, _, value in (header.partition(":") for header in headers)}
        return ReceivedRequest(line, parsed, dict(parse_qsl(form, keep_blank_values=True, strict_parsing=True)))


def name_outcome(outcome: Outcome) -> str:
    """The code of a failure, or GRANTED."""
    return outcome.code if isinstance(outcome, Failure) else GRANTED
