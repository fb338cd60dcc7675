"""The injector with a token or a proxy that cannot be used."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testing.fake_api_server import build_environ, writable_api_server
from testing.ports import find_free_ports
from tests.integration.injector.injector_process import Injector, run_injector
from tests.unit.injector.k8s.watched_cluster import wait_until

TOKEN = b"eyJhbGciOiJub25lIn0"


@contextmanager
def run_with_token(directory: Path, token: bytes) -> Iterator[Injector]:
    with writable_api_server() as api:
        environ = build_environ(directory, api.port, find_free_ports(2))
        (directory / "token").write_bytes(token)
        kubeconfig = json.loads((directory / "kubeconfig").read_text())
        kubeconfig["users"][0]["user"] = {"tokenFile": str(directory / "token")}
        (directory / "kubeconfig").write_text(json.dumps(kubeconfig))
        with run_injector(directory, environ) as injector:
            yield injector


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["newline", "crlf"])
def test_injector_is_ready_with_a_token_that_ends_with_a_newline(tmp_path: Path, end: bytes) -> None:
    with run_with_token(tmp_path, TOKEN + end) as injector:
        wait_until("it is ready", lambda: injector.get("/readyz")[0] == 200)


def test_token_that_no_header_can_have_is_one_sentence_and_not_in_the_log(tmp_path: Path) -> None:
    with run_with_token(tmp_path, TOKEN + b"\n" + TOKEN) as injector:
        wait_until("it answers", lambda: injector.get("/healthz")[0] == 200)
        wait_until("it says so", lambda: "the token to authenticate with has characters" in injector.log)

        assert TOKEN.decode() not in injector.log
        assert "raceback" not in injector.log
        assert injector.get("/readyz")[0] == 503


def test_injector_whose_proxy_is_no_url_ends_with_a_sentence(tmp_path: Path) -> None:
    with writable_api_server() as api:
        environ = build_environ(tmp_path, api.port, find_free_ports(2))
        with run_injector(tmp_path, {**environ, "HTTP_PROXY": "proxy.example.com:3128"}) as injector:
            assert injector.process.wait(timeout=60) == 2

        assert "podrole-injector: the proxy for the API server cannot be used: proxy-url" in injector.log
        assert "raceback" not in injector.log
