"""`podrole trust-policy --out`: which files are written, and that none is lost, empty or in another place."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from podrole.iam.apply_script import RoleFiles, build_script, format_policy, name_files
from podrole.iam.changes import PolicyChange, build_change
from podrole.iam.documents import MAXIMUM_QUOTA
from podrole.iam.policies import TrustRequirements, build_subject
from testing.hostile_text import STORED, find_unprintable
from testing.repository import ROOT
from tests.unit.podrole.conftest import Completed, Run

HOST = "oidc.example.com"
ROLE = "arn:aws:iam::111122223333:role/team/reader"
FILE = "111122223333/reader.json"
WEB = build_subject("team-a", "web")
EXISTING: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ONE = (ROLE, "-n", "team-a", "-s", "web", "--issuer", f"https://{HOST}", "--out", "trust")
MERGED = (*ONE, "--merge", "-")


def list_files(directory: str = "trust") -> list[str]:
    return sorted(str(file.relative_to(directory)) for file in Path(directory).rglob("*") if file.is_file())


def build_changes(*role_arns: str, existing: dict[str, Any] | None = None) -> list[PolicyChange]:
    return [build_change(TrustRequirements(arn, frozenset([WEB])), HOST, existing) for arn in role_arns]


def check_syntax(script: str) -> None:
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)


def list_calls(script: str) -> list[str]:
    return [line for line in script.splitlines() if line.startswith("set_policy ")]


def test_policy_back_up_and_script_are_written(run: Run) -> None:
    result = run("trust-policy", *MERGED, stdin=json.dumps(EXISTING))

    assert (result.code, result.stdout) == (0, "")
    assert list_files() == ["apply.sh", f"backup/{FILE}", f"policies/{FILE}"]
    assert json.loads(Path("trust/backup", FILE).read_text()) == EXISTING
    assert len(json.loads(Path("trust/policies", FILE).read_text())["Statement"]) == 2
    script = Path("trust/apply.sh").read_text()
    check_syntax(script)
    assert list_calls(script) == [f"set_policy 111122223333 reader {FILE}"]
    assert f"# {ROLE}\n#   new: {WEB}\n" in script
    assert "Read it, then set the policies: sh trust/apply.sh" in result.stderr


def test_role_without_an_existing_policy_has_no_back_up(run: Run) -> None:
    run("trust-policy", *ONE)

    assert list_files() == ["apply.sh", f"policies/{FILE}"]
    assert f"#   trusts {WEB}; its existing policy is not known\n" in Path("trust/apply.sh").read_text()


def test_role_that_needs_no_change_is_not_in_the_script(run: Run) -> None:
    policy = run("trust-policy", *ONE[:-2]).stdout

    result = run("trust-policy", *MERGED, stdin=policy)

    assert list_files() == ["apply.sh"]
    assert list_calls(Path("trust/apply.sh").read_text()) == []
    assert "has 0 of 1 roles; the others need no change." in result.stderr


def test_roles_whose_policies_are_too_long_are_named_and_not_counted(run: Run) -> None:
    accounts = [word for index in range(200) for word in ("-s", f"account-{index}")]

    result = run("trust-policy", ROLE, "-n", "team-a", *accounts, *ONE[5:])

    assert result.code == 1
    assert f"problem: {ROLE}: The policy has " in result.stderr
    assert "has 0 of 1 roles; IAM would refuse the policies of 1 as too long, and 0 need no change." in result.stderr
    assert "Read it" not in result.stderr
    assert "It sets the trust policies of 0 roles." in Path("trust/apply.sh").read_text()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("notes.txt", "mine", id="another-file"),
        pytest.param("apply.sh", "#!/bin/sh\nrm -rf /\n", id="another-script"),
        pytest.param("apply.sh", "", id="empty-script"),
        pytest.param("policies/reader.json", "{}", id="directory-with-the-same-name"),
    ],
)
def test_directory_of_somebody_else_is_refused_and_unchanged(run: Run, name: str, content: str) -> None:
    file = Path("trust", name)
    file.parent.mkdir(parents=True)
    file.write_text(content)

    result = run("trust-policy", *ONE)

    assert result.code == 2
    assert "--out trust is not empty, and not an earlier output of --out" in result.stderr
    assert list_files() == [name]
    assert file.read_text() == content


def test_file_beside_an_earlier_output_is_refused(run: Run) -> None:
    run("trust-policy", *ONE)
    Path("trust/notes.txt").write_text("mine")

    assert run("trust-policy", *ONE).code == 2


@pytest.mark.parametrize("path", ["file", "file/below"])
def test_path_that_is_no_directory_is_refused(run: Run, path: str) -> None:
    Path("file").write_text("mine")

    result = run("trust-policy", *ONE[:-1], path)

    assert result.code == 2
    assert f"--out {path} cannot be written: " in result.stderr
    assert Path("file").read_text() == "mine"


def test_directory_that_cannot_be_written_is_refused(run: Run) -> None:
    result = run("trust-policy", *ONE[:-1], "/proc/podrole")

    assert result.code == 2
    assert "--out /proc/podrole cannot be written: " in result.stderr


def test_earlier_back_up_with_another_content_is_kept(run: Run) -> None:
    second = {**EXISTING, "Id": "second"}
    run("trust-policy", *MERGED, stdin=json.dumps(EXISTING))

    for _ in range(2):
        run("trust-policy", *MERGED, stdin=json.dumps(second))

    assert list_files() == ["apply.sh", f"backup/{FILE}", f"backup/{FILE}.1", f"policies/{FILE}"]
    assert json.loads(Path("trust/backup", FILE).read_text()) == second
    assert json.loads(Path("trust/backup", f"{FILE}.1").read_text()) == EXISTING


def test_policies_of_an_earlier_run_are_removed_and_their_back_ups_kept(run: Run) -> None:
    run("trust-policy", *MERGED, stdin=json.dumps(EXISTING))

    run("trust-policy", ROLE.replace("reader", "writer"), *ONE[1:])

    assert list_files() == ["apply.sh", f"backup/{FILE}", "policies/111122223333/writer.json"]


def run_on_a_full_disk(*arguments: str, stdin: str) -> Completed:
    """Run the command so that no file can have more than 1 KiB."""
    argv = ["sh", "-c", 'ulimit -f 2; exec "$@"', "sh", sys.executable, "-m", "podrole", *arguments]
    environ = {**os.environ, "PYTHONPATH": os.fspath(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(argv, input=stdin, env=environ, capture_output=True, text=True, timeout=120, check=False)
    return Completed(done.returncode, done.stdout, done.stderr)


def test_full_disk_leaves_no_empty_file_and_a_script_that_sets_nothing(run: Run) -> None:
    existing = {**EXISTING, "Id": "x" * 2000}

    first = run_on_a_full_disk("trust-policy", *MERGED, stdin=json.dumps(existing))
    files = list_files()
    script = subprocess.run(["sh", "trust/apply.sh"], capture_output=True, text=True, check=False)
    second = run("trust-policy", *MERGED, stdin=json.dumps(existing))

    assert first.code == 4
    assert "File too large" in first.stderr
    assert files == ["apply.sh"]
    assert (script.returncode, script.stderr) == (1, "podrole did not finish writing: run it again\n")
    assert second.code == 0
    assert list_files() == ["apply.sh", f"backup/{FILE}", f"policies/{FILE}"]


def test_invalid_input_leaves_an_earlier_output(run: Run) -> None:
    run("trust-policy", *MERGED, stdin=json.dumps(EXISTING))
    before = {file: Path("trust", file).read_text() for file in list_files()}

    result = run("trust-policy", *MERGED, stdin="{")

    assert result.code == 2
    assert {file: Path("trust", file).read_text() for file in list_files()} == before


@pytest.mark.parametrize(
    ("arn", "file"),
    [
        pytest.param(ROLE, FILE, id="path-is-not-in-the-name"),
        pytest.param("arn:aws:iam::111122223333:role/../../x", "111122223333/x.json", id="path-with-dots"),
        pytest.param("arn:aws:iam::111122223333:role/..", "111122223333/__.json", id="only-dots"),
        pytest.param("arn:aws:iam::111122223333:role/-rf", "111122223333/-rf.json", id="begins-like-an-option"),
        pytest.param("arn:aws:iam::111122223333:role/a+=,.@-_", "111122223333/a+=___-_.json", id="every-character"),
        pytest.param("arn:aws:iam:::role/x", "no-account/x.json", id="store-without-accounts"),
        pytest.param("arn:aws:iam::..:role/x", "__/x.json", id="account-of-dots"),
        pytest.param("arn:aws:iam::111122223333:role/$(id)`id`", "111122223333/__id__id_.json", id="shell"),
        pytest.param(f"arn:aws:iam::111122223333:role/{'x' * 300}", f"111122223333/{'x' * 100}.json", id="long"),
    ],
)
def test_name_of_a_file_is_safe(arn: str, file: str) -> None:
    [role] = name_files(build_changes(arn))

    assert role.file == file
    check_syntax(build_script([role]))


def test_names_that_differ_only_in_case_or_in_unsafe_characters_have_files_of_their_own() -> None:
    base = "arn:aws:iam::111122223333:role/"
    roles = name_files(build_changes(*(f"{base}{name}" for name in ("reader", "Reader", "a/reader", "x,", "x_"))))

    assert [role.file.removeprefix("111122223333/") for role in roles] == [
        "reader.json",
        "Reader~2.json",
        "reader~3.json",
        "x_.json",
        "x_~2.json",
    ]


def test_hostile_texts_are_comments_of_one_line_and_quoted_words() -> None:
    text = f"x\nrm -rf /\n{STORED}'$(id)"
    change = PolicyChange(TrustRequirements(ROLE, frozenset([text])), {}, {}, (text,), (text,), (text,))

    script = build_script([RoleFiles(change, text, text, FILE, "", None)])

    assert find_unprintable(script.partition("own=0 others=0\n")[2].rpartition("set_policy")[0]) == ""
    check_syntax(script)
    stopped = script.replace("account=$(aws", "set_policy() { echo called; }\naccount=$(echo")
    done = subprocess.run(["sh"], input=stopped, text=True, capture_output=True, check=False)
    assert done.stdout.splitlines()[1:] == ["called", "done: 0"]


def test_policy_that_iam_refuses_is_left_out_of_the_script() -> None:
    required = TrustRequirements(ROLE, frozenset(build_subject("team-a", f"web-{number}") for number in range(200)))

    [role] = name_files([build_change(required, HOST, EXISTING)])
    script = build_script([role])

    assert list_calls(script) == []
    assert f"#   left out: IAM accepts {MAXIMUM_QUOTA} characters at most\n# set_policy 1111" in script


def test_policies_have_the_form_that_the_aws_cli_prints() -> None:
    policy = {"Version": "2012-10-17", "Statement": [{"Sid": "\u00e4", "Action": ["a", "b"]}]}

    assert format_policy(policy) == json.dumps(policy, indent=4, ensure_ascii=False) + "\n"
