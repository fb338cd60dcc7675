"""Who can read the Secret, and takes over the webhook's address, is the webhook: docs/threat-model.md says so."""

import ssl
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from testing.cluster.api import ApiServer
from tests.integration.api_server.certificates.installation import await_rest, installed
from tests.integration.api_server.webhooks import ADDRESS, MESH_PROXY, Mesh


def test_reader_of_the_secret_can_change_pods_at_the_webhooks_address(api: ApiServer, tmp_path: Path) -> None:
    with installed(api, tmp_path) as installation:
        replica = installation.start_replica()
        installation.register([replica.port])
        stolen = await_rest(installation, [replica]).pair
        assert stolen
        replica.kill()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (tmp_path / "stolen.pem").write_text(stolen.certificate.pem + stolen.key_pem)
        context.load_cert_chain(tmp_path / "stolen.pem")
        with ThreadingHTTPServer((ADDRESS, replica.port), Mesh) as server:
            server.socket = context.wrap_socket(server.socket, server_side=True)
            thread = Thread(target=server.serve_forever)
            thread.start()
            try:
                pod = installation.create_pod()
            finally:
                server.shutdown()
                thread.join()

    assert MESH_PROXY["name"] in [container["name"] for container in pod["spec"]["containers"]]
