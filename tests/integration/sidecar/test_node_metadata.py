"""Metadata pass-through in a running sidecar."""

import re
from pathlib import Path

from testing.serving import serving
from testing.sidecars import build_environ, running_sidecar
from tests.unit.sidecar.endpoints.test_node_metadata import ID, NodeService


def test_running_sidecar_passes_on_allowed_paths_only(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("to.ke.n")
    with serving(NodeService) as service:
        changes = {"PODROLE_METADATA_PASSTHROUGH": "true", "PODROLE_NODE_METADATA_ENDPOINT": service.url}
        environ = build_environ(tmp_path, "http://127.0.0.1:1", **changes)
        with running_sidecar(environ, tmp_path) as sidecar:
            sidecar.wait_for_log('"refresh-failed"', 30)

            replies = [sidecar.request(path) for path in (ID, ID, "/latest/user-data", "/latest/meta-data/iam/info")]

            assert [(reply.status, reply.body) for reply in replies] == [
                *[(200, "from the node")] * 2,
                *[(404, "")] * 2,
            ]
        assert [request.path for request in service.script.requests] == ["/latest/api/token", ID]
        assert not re.search("Traceback", sidecar.log)
