"""The injector as a process that starts before its API server."""

from pathlib import Path

import pytest

from testing.fake_api_server import WritableApiServer, writable_api_server
from testing.ports import find_free_ports
from tests.integration.injector.injector_process import running
from tests.unit.injector.k8s.watched_cluster import wait_until

CONNECTIONS = 20


def test_without_api_server_it_is_alive_and_readyz_has_the_reasons(tmp_path: Path) -> None:
    api = WritableApiServer(port=find_free_ports(1))
    with running(tmp_path, api.port) as injector:
        wait_until("it answers", lambda: injector.get("/healthz")[0])

        alive, (status, pending) = injector.get("/healthz"), injector.get("/readyz")
        before = len(injector.log)
        for _ in range(CONNECTIONS):
            with pytest.raises(OSError, match=r"(?i)reset|eof|closed"):
                injector.shake_hands()
        logged = injector.log[before:]
        metrics = injector.get("/metrics")[1]

        assert alive == (200, "ok\n")
        assert status == 503
        assert "waiting for a serving certificate" in pending
        assert "waiting for the first list of namespaces and ServiceAccounts" in pending
        assert logged.count("no certificate is loaded") <= 1, "more than one line a minute"
        assert "Traceback" not in logged
        assert "podrole_certificate_expiration_timestamp_seconds NaN" in metrics

        api.start()
        try:
            wait_until("it is ready", lambda: injector.get("/readyz")[0] == 200)

            assert injector.shake_hands().startswith("-----BEGIN CERTIFICATE-----")
        finally:
            api.stop()
    assert injector.process.returncode == 0


def test_generated_client_is_not_imported(tmp_path: Path) -> None:
    """Importing it takes a second and 25 MiB."""
    with writable_api_server() as api, running(tmp_path, api.port) as injector:
        wait_until("it is ready", lambda: injector.get("/readyz")[0] == 200)
        imported = {line.rpartition("|")[2].strip() for line in injector.log.splitlines()}

    assert {"kubernetes.client.rest", "injector.k8s.secret", "injector.k8s.webhook_configuration"} <= imported
    assert not {name for name in imported if name.startswith(("kubernetes.client.api.", "kubernetes.client.models."))}
