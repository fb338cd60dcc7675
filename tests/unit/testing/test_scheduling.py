"""Tests that share a cluster run in one process, others file by file."""

import pytest

from testing.repository import ROOT
from tests.scheduling import GROUPS, find_group


@pytest.mark.parametrize("folder", ["api_server", "kustomize"])
def test_tests_of_the_cluster_are_one_group(folder: str) -> None:
    assert find_group(f"tests/integration/{folder}/test_roles.py::test_role[pod]") == "cluster"


def test_tests_without_a_group_stay_with_their_file() -> None:
    assert find_group("tests/unit/server/test_loop.py::test_request[a::b]") == "tests/unit/server/test_loop.py"


@pytest.mark.parametrize("folder", GROUPS)
def test_folder_of_each_group_exists(folder: str) -> None:
    assert (ROOT / folder).is_dir()
