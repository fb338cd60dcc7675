import json
import time

import pytest

from injector.config import Config
from injector.decision.allowed_roles import MAX_ENTRIES, check_role_allowed
from injector.metadata_keys import ALLOWED_ROLES, PERMITTED
from injector.reasons import Explanation, Reason
from injector.value_types import AllowedRolesFormat
from testing.cases import CONFIG

BASE = "arn:aws:iam::111122223333:role/"
GLOB = CONFIG._replace(base_role_arn=BASE, allowed_roles_format=AllowedRolesFormat.GLOB)
REGEXP = GLOB._replace(allowed_roles_format=AllowedRolesFormat.REGEXP)
HOSTILE = (
    "(a+)+b",
    "(a|a)*b",
    "(a|aa)+b",
    "(.*a){30}b",
    "(.*)*(.*)*(.*)*b",
    "([a-c]*[a-z]*)*b",
    ".*" * 900 + "b",
    "(.?){500}b",
)
LONG_ROLE = BASE + "a/" * 200 + "a" * 64


def permitted(role_arn: str, regexp: str) -> bool:
    return not list(check_role_allowed(role_arn, {PERMITTED: regexp}, GLOB))


def refusals_of(role_arn: str, entries: object, *, form: str = "glob", base: str | None = BASE) -> list[Explanation]:
    config = GLOB._replace(allowed_roles_format=AllowedRolesFormat(form), account_id=None, base_role_arn=base)
    return list(check_role_allowed(role_arn, {ALLOWED_ROLES: json.dumps(entries)}, config))


def allowed(role_arn: str, entry: str, form: str = "glob") -> bool:
    refusals = refusals_of(role_arn, [entry], form=form)
    assert {refusal.reason for refusal in refusals} <= {Reason.ROLE_NOT_ALLOWED}
    return not refusals


def test_empty_list_allows_no_role() -> None:
    refused = refusals_of(BASE + "reader", [])

    assert [refusal.reason for refusal in refused] == [Reason.ROLE_NOT_ALLOWED]


def test_empty_entry_allows_no_role() -> None:
    assert not allowed(BASE + "reader", "")
    assert not allowed(BASE + "reader", "", "regexp")
    assert not permitted(BASE + "reader", "")


def test_any_role_is_allowed_without_annotations() -> None:
    assert list(check_role_allowed(BASE + "reader", {"example.com/other": "[]"}, GLOB)) == []


def test_denial_states_role_annotation_patterns_rule_and_remedy() -> None:
    (refusal,) = refusals_of(BASE + "reader", ["writer", "team-a/*"])

    assert refusal.text == (
        f"The namespace does not allow the role {BASE}reader: its annotation iam.amazonaws.com/allowed-roles is "
        '["writer", "team-a/*"] (matched in full; * and ? do not cross /, ** does; entries without arn: '
        f"are appended to {BASE}). Use an allowed role, or ask for this role to be added to the annotation."
    )


def test_long_list_is_truncated_in_the_denial() -> None:
    (refusal,) = refusals_of(BASE + "reader", [f"writer-{number}" for number in range(MAX_ENTRIES)])

    assert refusal.reason is Reason.ROLE_NOT_ALLOWED
    assert "writer-1" in refusal.text
    assert "..." in refusal.text
    assert len(refusal.text) < 800


def test_list_of_several_lines_is_one_line_in_the_denial() -> None:
    (refusal,) = check_role_allowed(BASE + "reader", {ALLOWED_ROLES: '[\n  "writer",\n  "auditor"\n]'}, GLOB)

    assert 'is [ "writer", "auditor" ] (' in refusal.text


@pytest.mark.parametrize(
    ("entries", "regexp", "refusing"),
    [
        pytest.param(["reader"], ".*:role/reader", [], id="both allow"),
        pytest.param(["writer"], ".*:role/reader", [ALLOWED_ROLES], id="only permitted allows"),
        pytest.param(["reader"], ".*:role/writer", [PERMITTED], id="only allowed-roles allows"),
        pytest.param(["writer"], ".*:role/writer", [ALLOWED_ROLES, PERMITTED], id="neither allows"),
    ],
    ids=["both-allow", "only-permitted-allows", "only-allowed-roles-allows", "none-allows"],
)
def test_both_annotations_must_allow_the_role(entries: list[str], regexp: str, refusing: list[str]) -> None:
    annotations = {PERMITTED: regexp, ALLOWED_ROLES: json.dumps(entries)}

    refused = list(check_role_allowed(BASE + "reader", annotations, GLOB))

    assert len(refused) == len(refusing)
    assert all(key in refusal.text for key, refusal in zip(refusing, refused, strict=True))


@pytest.mark.parametrize(
    ("entry", "role"),
    [
        ("reader", "reader"),
        ("/reader", "reader"),
        ("team-a/reader", "team-a/reader"),
        ("/team-a/reader", "team-a/reader"),
        (BASE + "team-a/reader", "team-a/reader"),
        ("*", "reader"),
        ("team-a/*", "team-a/reader"),
        ("team-?/reader", "team-b/reader"),
        ("*/reader", "team-a/reader"),
        ("**", "team-a/deep/reader"),
        ("team-a/**", "team-a/deep/reader"),
        ("**/reader", "team-a/deep/reader"),
        (BASE + "*", "reader"),
        ("arn:aws:iam::*:role/reader", "reader"),
        ("a+b=c,d.e@f_g-h", "a+b=c,d.e@f_g-h"),
    ],
)
def test_glob_allows_roles_that_it_matches_in_full(entry: str, role: str) -> None:
    assert allowed(BASE + role, entry)


@pytest.mark.parametrize(
    ("entry", "role"),
    [
        ("read.r", "reader"),
        ("[r]eader", "reader"),
        ("{reader,writer}", "reader"),
        ("(reader|writer)", "reader"),
        ("reader|writer", "reader"),
        (r"read\er", "reader"),
        ("^reader$", "reader"),
        (" reader", "reader"),
        ("reader?", "reader"),
        ("team-a?reader", "team-a/reader"),
        ("team-a/", "team-a/reader"),
        ("//reader", "reader"),
        ("team-a/*", "team-a"),
        ("**/reader", "reader"),
    ],
)
def test_other_special_characters_of_a_glob_are_literal(entry: str, role: str) -> None:
    assert not allowed(BASE + role, entry)


@pytest.mark.parametrize("role", ["app-admin", "app/admin", "app.", "team/app"])
def test_pattern_does_not_match_only_a_prefix_or_suffix(role: str) -> None:
    assert not allowed(BASE + role, "app")
    assert not allowed(BASE + role, BASE + "app")
    assert not allowed(BASE + role, "app", "regexp")
    assert not allowed(BASE + role, "^app", "regexp")
    assert not allowed(BASE + role, BASE + "app", "regexp")
    assert not permitted(BASE + role, BASE + "app")
    assert not permitted(BASE + role, "^" + BASE + "app")


@pytest.mark.parametrize("part", ["o", "role", "eade", "reade", "eader", "111122223333", ":role/reader"])
def test_pattern_does_not_match_only_a_part(part: str) -> None:
    assert not allowed(BASE + "reader", part)
    assert not allowed(BASE + "reader", part, "regexp")
    assert not permitted(BASE + "reader", part)


@pytest.mark.parametrize("role", ["admin-b", "b/admin", "a-admin", "other/b", "ab"])
@pytest.mark.parametrize("entry", ["a|b", "^a|b$", "^a$|^b$", "(a|b)", "^(?:a|b)$"])
def test_alternation_is_matched_in_full(entry: str, role: str) -> None:
    assert not allowed(BASE + role, entry, "regexp")
    assert not allowed("arn:aws:iam::444455556666:role/b", entry, "regexp")
    assert not permitted(BASE + role, f"{BASE}a|{BASE}b")
    assert not permitted(BASE + role, f"^{BASE}a|b$")
    assert allowed(BASE + "a", entry, "regexp")
    assert allowed(BASE + "b", entry, "regexp")


@pytest.mark.parametrize(
    "entries",
    [["a)|(b"], ["a)|(?:.*"], ["(a", "b)"], [r"\Qa", r"b\E"], ["[a", "b]"], ["(?i", ")a"]],
    ids=["alternation", "any", "group", "quote", "class", "flags"],
)
def test_entry_cannot_change_other_entries(entries: list[str]) -> None:
    (refusal,) = refusals_of(BASE + "b", entries, form="regexp")
    assert refusal.reason is Reason.INVALID_ALLOW_LIST
    assert "in entry 1 " in refusal.text


def test_flag_applies_only_to_its_own_entry() -> None:
    assert refusals_of(BASE + "B", ["(?i)a", "b"], form="regexp")
    assert not refusals_of(BASE + "A", ["(?i)a", "b"], form="regexp")


@pytest.mark.parametrize(
    ("entry", "role"),
    [
        ("*", "team-a/reader"),
        ("team-a-*", "team-a-x/admin"),
        ("team-a/*", "team-a/deep/reader"),
        ("*/reader", "team-a/deep/reader"),
        (BASE + "*", "team-a/reader"),
        ("arn:aws:iam::*:role/reader", "team-a:role/reader"),
        ("arn:*", "reader"),
    ],
)
def test_one_star_does_not_match_a_slash_and_two_stars_do(entry: str, role: str) -> None:
    assert not allowed(BASE + role, entry)
    assert allowed(BASE + role, entry.replace("*", "**"))


@pytest.mark.parametrize("role", ["Reader", "READER", "readeR"])
def test_patterns_are_case_sensitive(role: str) -> None:
    assert not allowed(BASE + role, "reader")
    assert not allowed(BASE + role, "reader", "regexp")
    assert not allowed(BASE + role, "ARN" + BASE[3:] + role)
    assert not permitted(BASE + role, BASE + "reader")


def test_lookalike_letter_does_not_match_and_is_visible_in_the_denial() -> None:
    cyrillic = "re\u0430der"

    for refused in (
        refusals_of(BASE + "reader", [cyrillic]),
        refusals_of(BASE + "reader", [cyrillic], form="regexp"),
        list(check_role_allowed(BASE + "reader", {PERMITTED: f".*/{cyrillic}"}, GLOB)),
        list(check_role_allowed(BASE + "reader", {ALLOWED_ROLES: f'["{cyrillic}"]'}, GLOB)),
    ):
        assert [refusal.reason for refusal in refused] == [Reason.ROLE_NOT_ALLOWED]
        assert r"re\u0430der" in refused[0].text


@pytest.mark.parametrize(
    ("entry", "role"), [("team%2Freader", "team/reader"), ("%72eader", "reader"), ("%", "reader"), ("%s", "reader")]
)
def test_percent_encoding_is_not_decoded(entry: str, role: str) -> None:
    assert not allowed(BASE + role, entry)
    assert not allowed(BASE + role, entry, "regexp")
    assert not permitted(BASE + role, f".*:role/{entry}")
    assert allowed(BASE + "100%/reader", "100%/reader")
    assert not allowed(BASE + "100%25/reader", "100%/reader")


@pytest.mark.parametrize("partition", ["aws-cn", "aws-us-gov", "awsx"])
def test_pattern_does_not_allow_other_partitions(partition: str) -> None:
    elsewhere = f"arn:{partition}:iam::111122223333:role/reader"

    assert not allowed(elsewhere, "reader")
    assert not allowed(elsewhere, "**")
    assert not allowed(elsewhere, BASE + "reader")
    assert not allowed(elsewhere, ".*", "regexp")
    assert not permitted(elsewhere, BASE + ".*")
    assert allowed(elsewhere, "arn:*:iam::111122223333:role/reader")


@pytest.mark.parametrize("account", ["444455556666", "111122223334", "1111222233330"])
def test_pattern_does_not_allow_other_accounts(account: str) -> None:
    elsewhere = f"arn:aws:iam::{account}:role/reader"

    assert not allowed(elsewhere, "reader")
    assert not allowed(elsewhere, "**")
    assert not allowed(elsewhere, BASE + "reader")
    assert not allowed(elsewhere, ".*", "regexp")
    assert not permitted(elsewhere, BASE + ".*")
    assert allowed(elsewhere, elsewhere)


def test_base_arn_is_literal_in_front_of_a_regexp() -> None:
    config = REGEXP._replace(base_role_arn=BASE + "a.b+/")
    annotations = {ALLOWED_ROLES: '["reader"]'}

    assert list(check_role_allowed(BASE + "a.b+/reader", annotations, config)) == []
    assert list(check_role_allowed(BASE + "axbb/reader", annotations, config))


def test_names_are_below_the_path_of_the_base_arn() -> None:
    config = GLOB._replace(base_role_arn=BASE + "team-a/")
    annotations = {ALLOWED_ROLES: '["**"]'}

    assert list(check_role_allowed(BASE + "team-a/reader", annotations, config)) == []
    assert list(check_role_allowed(BASE + "team-b/reader", annotations, config))
    assert list(check_role_allowed(BASE + "reader", annotations, config))


@pytest.mark.parametrize(
    ("entry", "role"),
    [
        ("reader", "reader"),
        ("^reader$", "reader"),
        ("^reader", "reader"),
        ("reader$", "reader"),
        (".*", "team-a/reader"),
        ("team-a/.*", "team-a/reader"),
        ("^" + BASE + "reader$", "reader"),
        (r"arn:aws:iam::\d{12}:role/reader", "reader"),
        ("(?i)READER", "reader"),
        (r"\Qa+b\E", "a+b"),
        ("(?P<name>reader)", "reader"),
    ],
)
def test_regexp_is_appended_to_the_base_arn_unless_it_is_an_arn(entry: str, role: str) -> None:
    assert allowed(BASE + role, entry, "regexp")


def test_two_entries_can_have_groups_of_the_same_name() -> None:
    assert refusals_of(BASE + "b", ["(?P<name>a)", "(?P<name>b)"], form="regexp") == []


def test_kiam_regexp_matches_the_complete_arn() -> None:
    assert permitted(BASE + "reader", BASE + "(reader|writer)")
    assert permitted(BASE + "reader", "^.*:role/reader$")
    assert permitted(BASE + "team-a/reader", ".*")
    assert not permitted(BASE + "reader", "reader")


@pytest.mark.parametrize("form", ["glob", "regexp"])
def test_any_entry_of_a_list_can_allow_the_role(form: str) -> None:
    entries = ["writer", BASE + "auditor", "reader", "arn:aws:iam::444455556666:role/reader"]

    assert refusals_of(BASE + "reader", entries, form=form) == []
    assert refusals_of(BASE + "auditor", entries, form=form) == []
    assert refusals_of("arn:aws:iam::444455556666:role/reader", entries, form=form) == []
    assert refusals_of("arn:aws:iam::444455556666:role/writer", entries, form=form)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "it is not valid JSON (Expecting value", id="empty"),
        ("reader", "it is not valid JSON (Expecting value"),
        ("['reader']", "it is not valid JSON (Expecting value"),
        ('["reader",]', "it is not valid JSON ("),
        pytest.param("[" * 10000, "it is not valid JSON (", id="deeply nested"),
        pytest.param("[" + "1" * 5000 + "]", "it is not valid JSON (", id="number of 5000 digits"),
        ('"reader"', "it is JSON, but not a list"),
        ("null", "it is JSON, but not a list"),
        ('{"reader": true}', "it is JSON, but not a list"),
        ('["reader", 1]', "entry 2 is not a string"),
        ('[null, "reader"]', "entry 1 is not a string"),
        ('[["reader"]]', "entry 1 is not a string"),
        (r'["reader", "\ud800"]', "half of a surrogate pair"),
        pytest.param(
            json.dumps(["reader"] * (MAX_ENTRIES + 1)),
            "it has 501 entries, the maximum is 500",
            id="too many entries",
        ),
    ],
)
@pytest.mark.parametrize("config", [GLOB, REGEXP], ids=["glob", "regexp"])
def test_invalid_list_allows_no_role_and_is_explained(text: str, problem: str, config: Config) -> None:
    (refusal,) = check_role_allowed(BASE + "reader", {ALLOWED_ROLES: text}, config)

    assert refusal.reason is Reason.INVALID_ALLOW_LIST
    assert problem in refusal.text
    assert f'{ALLOWED_ROLES} of the namespace is "{text[:20]}' in refusal.text
    assert "It must be a JSON list of" in refusal.text


@pytest.mark.parametrize(
    ("regexp", "problem"),
    [
        ("(reader", "missing ): (reader"),
        ("reader)", "unexpected ): reader)"),
        ("*", "no argument for repetition operator: *"),
        ("reader\\", "trailing \\"),
        (r"(a)\1", r"invalid escape sequence: \1"),
        ("(?=a)", "invalid perl operator: (?="),
        ("(?!admin).*", "invalid perl operator: (?!"),
        ("(?<=a)b", "invalid perl operator: (?<"),
        ("a{1001}", "invalid repetition size: {1001}"),
        ("[\u0430", r"missing ]: [\u0430"),
        (r"\Qreader", r"missing ): (?:\Qreader)"),
        ("(?:a{0,999}){10}", "invalid repetition size: {10}"),
        pytest.param("".join("a{1000}" for _ in range(200)), "pattern too large", id="many repetitions"),
    ],
)
def test_invalid_regexp_allows_no_role_and_is_explained(
    regexp: str, problem: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (of_list,) = refusals_of(BASE + "reader", ["reader", regexp], form="regexp")
    (of_kiam,) = check_role_allowed(BASE + "reader", {PERMITTED: regexp}, GLOB)

    assert of_list.reason is of_kiam.reason is Reason.INVALID_ALLOW_LIST
    assert f"in entry 2 the regular expression engine (RE2) reports: {problem}" in of_list.text
    assert f"the regular expression engine (RE2) reports: {problem}" in of_kiam.text
    assert of_kiam.text.endswith("It must be one regular expression (RE2) for whole ARNs, such as .*:role/team-a/.*.")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("regexp", "problem"),
    [
        pytest.param("x" * 2049, "has 2049 bytes, the maximum is 2048", id="ascii"),
        pytest.param("\u0430" * 1025, "has 2050 bytes, the maximum is 2048", id="cyrillic"),
        pytest.param(r"\pL" * 600, "has 600 Unicode classes, the maximum is 10", id="classes"),
        pytest.param(r"(?i)" + r"\P{Greek}" * 11, "has 11 Unicode classes, the maximum is 10", id="names-of-classes"),
        pytest.param("[" + r"\pL\PN" * 6 + "]", "has 12 Unicode classes, the maximum is 10", id="in-brackets"),
        pytest.param("(?:a{100}){10}" * 11, "instructions, the maximum is 10000", id="instructions"),
    ],
)
def test_regexp_over_a_limit_allows_no_role_and_is_explained(regexp: str, problem: str) -> None:
    (of_list,) = refusals_of(BASE + "reader", ["reader", regexp], form="regexp")
    (of_kiam,) = check_role_allowed(BASE + "reader", {PERMITTED: regexp}, GLOB)

    assert of_list.reason is of_kiam.reason is Reason.INVALID_ALLOW_LIST
    assert "in entry 2 " in of_list.text
    assert problem in of_list.text
    assert problem in of_kiam.text


def test_regexp_with_ten_unicode_classes_is_accepted() -> None:
    assert permitted(BASE + "reader", r".*:role/(?:\pL|\pN|\pM|\pP|\pS|\pZ|\pC|\p{Greek}|\PL|\PN)*")


def test_surrogate_allows_no_role() -> None:
    (refusal,) = check_role_allowed(BASE + "reader", {PERMITTED: "\ud800"}, GLOB)

    assert refusal.reason is Reason.INVALID_ALLOW_LIST
    assert len(refusal.text) < 800


@pytest.mark.parametrize("form", ["glob", "regexp"])
def test_name_is_invalid_without_a_base_arn(form: str) -> None:
    (refusal,) = refusals_of(BASE + "reader", [BASE + "reader", "writer"], form=form, base=None)

    assert refusal.reason is Reason.INVALID_ALLOW_LIST
    assert "no base ARN is configured for names" in refusal.text
    assert ': "writer".' in refusal.text
    assert "PODROLE_ACCOUNT_ID or PODROLE_BASE_ROLE_ARN" in refusal.text


@pytest.mark.parametrize("form", ["glob", "regexp"])
def test_complete_arns_need_no_base_arn(form: str) -> None:
    assert refusals_of(BASE + "reader", [BASE + "reader"], form=form, base=None) == []
    (refusal,) = refusals_of(BASE + "writer", [BASE + "reader"], form=form, base=None)
    assert "are appended to the base ARN, which is not configured" in refusal.text


def test_list_of_maximum_length_is_accepted() -> None:
    entries = [f"team-{number}-*" for number in range(MAX_ENTRIES)]

    assert refusals_of(BASE + "team-499-reader", entries) == []
    assert refusals_of(BASE + "team-500-reader", entries)


@pytest.mark.parametrize("regexp", HOSTILE, ids=lambda regexp: regexp[:12])
def test_catastrophic_backtracking_pattern_is_matched_fast(regexp: str) -> None:
    started = time.perf_counter()

    for role in (BASE + "a" * 64, LONG_ROLE):
        assert not allowed(role, regexp, "regexp")
        assert not permitted(role, f".*:role/{regexp}")

    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    "entry", ["**a" * 40 + "b", "*a" * 60 + "b", "?*" * 60 + "b", "**/" * 60 + "b"], ids=lambda entry: entry[:4]
)
def test_glob_of_many_stars_is_matched_fast(entry: str) -> None:
    started = time.perf_counter()

    assert not allowed(BASE + "a" * 64, entry)
    assert not allowed(LONG_ROLE, entry)

    assert time.perf_counter() - started < 1


def test_list_of_expensive_patterns_is_rejected_fast() -> None:
    entries = [f".{{{number}}}" for number in range(1, MAX_ENTRIES)]
    started = time.perf_counter()

    (refusal,) = refusals_of(LONG_ROLE, entries, form="regexp")

    assert refusal.reason is Reason.INVALID_ALLOW_LIST
    assert "entries together are too large" in refusal.text
    assert time.perf_counter() - started < 1


def test_list_of_globs_that_exceeds_the_engine_is_rejected() -> None:
    (refusal,) = refusals_of(LONG_ROLE, ["*?" * 100 + str(number) for number in range(78)])

    assert refusal.reason is Reason.INVALID_ALLOW_LIST
    assert "pattern too large" in refusal.text


@pytest.mark.parametrize(
    "text",
    [json.dumps([f"team-{number}-*" for number in range(100)]), '["("]', "reader"],
    ids=["long list", "invalid regexp", "not a list"],
)
def test_annotation_is_compiled_once_valid_or_not(text: str) -> None:
    annotations = {ALLOWED_ROLES: text}
    first = list(check_role_allowed(BASE + "reader", annotations, REGEXP))
    started = time.perf_counter()

    again = [list(check_role_allowed(BASE + "reader", annotations, REGEXP)) for _ in range(100)]

    assert time.perf_counter() - started < 0.1
    assert again == [first] * 100
