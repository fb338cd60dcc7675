"""`--policies`: the files of a directory, with limits."""

import json
from pathlib import Path

import pytest

from injector.errors import ConfigError
from podrole.trust import existing_policies
from podrole.trust.existing_policies import load_policy_directory

POLICY = json.dumps({"Statement": []})
ROLE = "arn:aws:iam::111122223333:role/reader"


def test_directory_without_policies_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "reader.yaml").write_text(POLICY)

    with pytest.raises(ConfigError, match="there are no policies in"):
        load_policy_directory(str(tmp_path))


def test_number_of_files_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(existing_policies, "MAX_FILES", 1)
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(POLICY)

    with pytest.raises(ConfigError, match="has 2 files; the maximum is 1"):
        load_policy_directory(str(tmp_path))


def test_size_of_all_files_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(existing_policies, "MAX_BYTES", len(POLICY) + 1)
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(POLICY)

    with pytest.raises(ConfigError, match=r"b\.json: the policies have more than"):
        load_policy_directory(str(tmp_path))


def test_file_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "reader.json").write_bytes(b"\xff")

    with pytest.raises(ConfigError, match=r"reader\.json is not UTF-8"):
        load_policy_directory(str(tmp_path))


def test_endless_file_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(existing_policies, "MAX_BYTES", 100)

    with pytest.raises(ConfigError, match="/dev/zero: the policies have more than"):
        load_policy_directory("/dev/zero")


@pytest.mark.parametrize("name", ["reader.json", "111122223333/reader.json"])
def test_policy_is_found_by_the_name_of_its_file(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"\ufeff{POLICY}")

    found = load_policy_directory(str(tmp_path)).find(ROLE)

    assert found is not None
    assert (found.policy, found.file) == ({"Statement": []}, name)


def test_one_file_is_read_without_a_directory(tmp_path: Path) -> None:
    (tmp_path / "list").write_text(
        json.dumps({"Roles": [{"Arn": ROLE, "AssumeRolePolicyDocument": {"Statement": []}}]})
    )

    assert load_policy_directory(str(tmp_path / "list")).find(ROLE) is not None
