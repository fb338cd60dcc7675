"""The README's installation, line by line."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from testing.repository import ROOT
from tests.integration.node.cluster import Node
from tests.integration.node.conftest import forget
from tests.integration.node.images import APP, LOCAL_BASE
from tests.integration.node.store import TEAM_A, Store

NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "out")
WITHIN_SECONDS = 15 * 60


def read_lines() -> str:
    """The block of commands under the heading about the installation."""
    section = (ROOT / "README.md").read_text().partition("\n## Install it\n")[2].partition("\n## ")[0]
    [block] = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return str(block)


@pytest.mark.usefixtures("images")
def test_the_readme_s_lines_end_with_a_pod_that_lists_its_bucket(node: Node, store: Store, tmp_path: Path) -> None:
    """No registry is within reach, so the tests' app stands in for the image with the AWS CLI that the README names.

    It comes first, so it begins with an empty cluster.
    """
    lines = read_lines()
    [image] = re.findall(r"^ *image: (\S+)", lines, re.MULTILINE)
    node.run_on_node("ctr", "--namespace=k8s.io", "images", "tag", "--force", APP, image)
    clone = tmp_path / "podrole"
    shutil.copytree(ROOT, clone, ignore=NOT_COPIED)
    environ = {
        "STORE": store.url,
        "KUBECONFIG": node.kubectl.kubeconfig,
        "BASE_IMAGE": os.environ.get("BASE_IMAGE", LOCAL_BASE),
        "SOURCE_DATE_EPOCH": "1577836800",  # the copy is no clone, and has no commit to take it from
    }

    try:
        done = subprocess.run(
            ["bash", "-exc", lines],
            cwd=clone,
            env={**node.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN_SECONDS,
        )
    finally:
        forget(node, TEAM_A.name)
        node.kubectl.run("wait", f"namespace/{TEAM_A.name}", "--for=delete", "--timeout=110s")

    print(done.stdout)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Total Objects:" in done.stdout
