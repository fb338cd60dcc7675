"""The real sidecar against an STS outside AWS: its regions, ARNs and paths."""

import json
from pathlib import Path

import pytest

from testing.services.faulty_sts import FaultySts
from testing.sidecars import CREDENTIALS_PATH, build_environ, running_sidecar

CEPH = "arn:aws:iam::RGW00889737169837717:role/x"


@pytest.mark.parametrize(
    ("role", "region"),
    [
        pytest.param("arn:aws:iam:::role/x", "garage", id="no-account"),
        pytest.param(CEPH, "fr-par", id="ceph"),
        pytest.param("arn:minio:iam:::role/x", "auto", id="minio"),
    ],
)
@pytest.mark.parametrize("intermediate", ["", "arn:aws:iam:::role/hub"], ids=["one-role", "chain"])
def test_role_of_a_store_is_assumed_and_served(
    faulty_sts: FaultySts, tmp_path: Path, role: str, region: str, intermediate: str
) -> None:
    (tmp_path / "token").write_text("to.ke.n")
    changes = {"PODROLE_ROLE_ARN": role, "PODROLE_REGION": region, "PODROLE_INTERMEDIATE_ROLE": intermediate}
    environ = build_environ(tmp_path, f"{faulty_sts.url}/sts/tenant-a", **changes)
    with running_sidecar(environ, tmp_path) as sidecar:
        assert sidecar.wait_until_started() == 0, sidecar.log
        document = json.loads(sidecar.request(CREDENTIALS_PATH).body)
        listed = sidecar.request("/latest/meta-data/iam/security-credentials/").body

    assert document["RoleArn"] == role
    assert "AccountId" not in document, "SDKs would make it a part of host names"
    assert listed == "x"
    assert [one["RoleArn"] for one in faulty_sts.requests] == [one for one in (intermediate, role) if one]
