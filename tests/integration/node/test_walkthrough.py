"""The walk-through of docs/outside-aws.md, line by line."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from testing.repository import ROOT
from tests.integration.node.cluster import Node
from tests.integration.node.conftest import delete_namespace
from tests.integration.node.images import APP, LOCAL_BASE
from tests.integration.node.store import TEAM_A, Store

NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "out")
WITHIN_SECONDS = 15 * 60


def read_commands() -> str:
    """The block of commands under the heading "Walk-through"."""
    section = (ROOT / "docs/outside-aws.md").read_text().partition("\n## Walk-through\n")[2].partition("\n## ")[0]
    [block] = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return str(block)


@pytest.mark.usefixtures("images")
def test_walkthrough_ends_with_a_pod_that_lists_its_bucket(node: Node, store: Store, tmp_path: Path) -> None:
    """Run the page's commands in an empty cluster: this test runs first.

    The tests' app image replaces the AWS CLI image of the page, so that no image registry is needed.
    """
    commands = read_commands()
    [image] = re.findall(r"^ *image: (\S+)", commands, re.MULTILINE)
    node.run_on_node("ctr", "--namespace=k8s.io", "images", "tag", "--force", APP, image)
    clone = tmp_path / "podrole"
    shutil.copytree(ROOT, clone, ignore=NOT_COPIED)
    environ = {
        "STORE": store.url,
        "KUBECONFIG": node.kubectl.kubeconfig,
        "BASE_IMAGE": os.environ.get("BASE_IMAGE", LOCAL_BASE),
        "SOURCE_DATE_EPOCH": "1577836800",  # the copy has no commit to take it from
    }

    try:
        done = subprocess.run(
            ["bash", "-exc", commands],
            cwd=clone,
            env={**node.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN_SECONDS,
        )
    finally:
        delete_namespace(node, TEAM_A.name)
        node.kubectl.run("wait", f"namespace/{TEAM_A.name}", "--for=delete", "--timeout=110s")

    print(done.stdout)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Total Objects:" in done.stdout
