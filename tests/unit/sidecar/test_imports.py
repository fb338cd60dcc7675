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


def list_imported(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_resident_process_imports_no_large_module() -> None:
    assert list_imported("import sidecar.__main__, sidecar.server") & (TOO_LARGE - list_imported("pass")) == set()


def test_modules_of_settings_that_are_off_are_not_imported() -> None:
    imported = list_imported("import sidecar.__main__, sidecar.server")

    assert imported & {"sidecar.endpoints.metrics", "sidecar.endpoints.node_metadata"} == set()
    assert "sidecar.endpoints.handler" in imported
