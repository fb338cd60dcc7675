"""What the resident process imports: it runs in every pod."""

import subprocess
import sys

from testing.repository import ROOT

TOO_LARGE = {
    *("argparse", "asyncio", "concurrent.futures", "dataclasses", "datetime", "email", "http.client", "inspect"),
    *("ipaddress", "logging", "pathlib", "random", "secrets", "ssl", "subprocess", "tempfile", "urllib.parse"),
    *("urllib.request", "wsgiref", "boto3", "botocore", "flask", "gunicorn", "prometheus_client", "tenacity"),
    *("werkzeug", "_hashlib"),
}
"""`_hashlib` loads OpenSSL's library."""


FAILED_CALL = """
import sidecar.sts.__main__
from sidecar.http_client.tls import TlsStream, create_context
from sidecar.http_client.connect import connect
from sidecar.http_client.stream import Deadline
from sidecar.http_client.url import parse_url

class Closed:
    send = lambda self, data: None
    receive = lambda self: b""

for call in (
    lambda: connect(parse_url("https://localhost:1"), Deadline(5), 5),
    lambda: TlsStream(Closed(), create_context(None), "localhost"),
):
    try:
        call()
    except OSError:
        pass
"""
"""As far as a call gets without a server."""


def list_imported(statement: str) -> set[str]:
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_resident_process_imports_no_large_module() -> None:
    assert list_imported("import sidecar.__main__, sidecar.server") & (TOO_LARGE - list_imported("pass")) == set()


def test_modules_of_settings_that_are_off_are_not_imported() -> None:
    imported = list_imported("import sidecar.__main__, sidecar.server")

    assert imported & {"sidecar.endpoints.metrics", "sidecar.endpoints.node_metadata"} == set()
    assert "sidecar.endpoints.handler" in imported


def test_measurement_of_env_mode_is_imported_only_there_and_imports_no_large_module() -> None:
    assert "sidecar.reachability.monitor" not in list_imported("import sidecar.__main__, sidecar.server")
    assert list_imported("import sidecar.reachability.monitor") & (TOO_LARGE - list_imported("pass")) == set()


def test_metadata_pass_through_imports_no_large_module() -> None:
    assert list_imported("import sidecar.endpoints.node_metadata") & (TOO_LARGE - list_imported("pass")) == set()


def test_web_identity_call_imports_of_the_large_modules_only_ssl() -> None:
    imported = list_imported(FAILED_CALL)

    assert imported & (TOO_LARGE - list_imported("pass")) == {"ssl"}
    assert imported & {"http", "xml", "sidecar.sts.chain", "encodings.idna", "stringprep"} == set()


def test_web_identity_call_by_http_does_not_import_ssl() -> None:
    assert "ssl" not in list_imported("import sidecar.sts.__main__")
