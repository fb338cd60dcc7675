import time

import pytest

from contract.text import quote
from injector.config import Config
from injector.decision.roles import parse_role
from injector.reasons import InvalidRoleError, Reason
from testing.cases import CONFIG, ENVIRON

ACCOUNT = "arn:aws:iam::111122223333:role"


def refusal_of(text: str, config: Config = CONFIG) -> InvalidRoleError:
    with pytest.raises(InvalidRoleError) as caught:
        parse_role(text, "annotation x of the pod", config)
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a b",
        "team/",
        "team//",
        "//reader",
        "rôle",
        "r*",
        "reader\n",
        pytest.param("x" * 65, id="name too long"),
        pytest.param(f"{'p' * 512}/reader", id="path too long"),
        "te am/reader",
        "arn:",
        "arn:aws:iam::1111:role/reader",
        "arn:aws:iam::111122223333:user/reader",
        "arn:aws:iam::111122223333:role/",
        "arn:aws:iam::111122223333:role/reader/",
        "arn:aws:iam::111122223333:role//reader",
        "arn:aws:iam::111122223333:role/reader ",
        "arn:aws:sts::111122223333:assumed-role/reader/me",
        "arn:AWS:iam::111122223333:role/reader",
        "arn:aws:iam::١١١١٢٢٢٢٣٣٣٣:role/reader",
    ],
)
def test_invalid_role_is_rejected_and_repeated(text: str) -> None:
    error = refusal_of(text)

    assert error.explanation.reason is Reason.INVALID_ROLE
    assert "annotation x of the pod" in str(error)
    assert quote(text[:100], 200) in str(error)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("role/reader", 'nor a whole ARN (did you mean "reader"?)', id="resource-of-an-arn"),
        pytest.param("Role/team/reader", 'nor a whole ARN (did you mean "team/reader"?)', id="resource-with-a-path"),
        pytest.param(
            "ARN:aws:iam::111122223333:role/reader",
            f'nor a whole ARN (did you mean "{ACCOUNT}/reader"?)',
            id="upper-case-arn",
        ),
        pytest.param(
            "111122223333:role/reader", f'nor a whole ARN (did you mean "{ACCOUNT}/reader"?)', id="account-and-role"
        ),
        pytest.param(
            "aws:iam::111122223333:role/reader", f'nor a whole ARN (did you mean "{ACCOUNT}/reader"?)', id="no-arn"
        ),
        pytest.param(
            "arn:aws:sts::111122223333:assumed-role/reader/me",
            f'an ARN of the kind "assumed-role" instead of "role" (did you mean "{ACCOUNT}/reader"?)',
            id="assumed-role",
        ),
        pytest.param("assumed-role/reader/me", '(did you mean "reader"?)', id="resource-of-a-session"),
        pytest.param("arn:aws:iam::111122223333:user/bob", 'kind "user" instead of "role": pods can', id="user"),
        pytest.param("arn:aws:iam::aws:policy/x", '"policy" instead of "role": name a role that', id="policy"),
        pytest.param(
            "arn:aws:iam::111122223333:instance-profile/a/b",
            'the kind "instance-profile" instead of "role": name the role that it contains',
            id="instance-profile",
        ),
        pytest.param("arn:aws:iam::111122223333:root", 'an ARN of the kind "root" instead of "role".', id="account"),
        pytest.param("arn:aws:iam::111122223333:reader", 'an ARN of the kind "reader" instead of', id="no-kind"),
        pytest.param("arn:aws:s3:::bucket", 'it is an ARN of the service "s3" instead of "iam".', id="service"),
        pytest.param("arn:aws:iam::111122223333:roles/a", f'(did you mean "{ACCOUNT}/a"?)', id="plural"),
        pytest.param("arn:aws:iam::111122223333:role:a", f'(did you mean "{ACCOUNT}/a"?)', id="colon-for-a-slash"),
        pytest.param(
            "arn:aws:iam:eu-west-1:111122223333:role/a",
            f'it has the region "eu-west-1", and ARNs of roles have none (did you mean "{ACCOUNT}/a"?)',
            id="region",
        ),
        pytest.param(
            "arn:aws:iam::11112222333:role/a", 'its account is "11112222333" instead of 12 digits.', id="eleven-digits"
        ),
        pytest.param(
            "arn:aws:iam::1111222233334:role/a", '"1111222233334" instead of 12 digits.', id="thirteen-digits"
        ),
        pytest.param(
            "arn:aws:iam::1111-2222-3333:role/a",
            f'"1111-2222-3333" instead of 12 digits (did you mean "{ACCOUNT}/a"?).',
            id="account-with-hyphens",
        ),
        pytest.param("arn:aws:iam::${ID}:role/a", 'its account is "${ID}" instead of 12 digits.', id="placeholder"),
        pytest.param(
            "arn:aws:iam::tenant:role/a", '"tenant" instead of 12 digits; other forms need', id="account-outside-aws"
        ),
        pytest.param(
            f"{ACCOUNT}/{ACCOUNT}/reader",
            f'it has more than one ARN (did you mean "{ACCOUNT}/reader"?)',
            id="prefix-twice",
        ),
        pytest.param(f"{ACCOUNT}/a,{ACCOUNT}/b", "it has more than one ARN.", id="two-arns"),
        pytest.param("team/reader/", 'it ends with a slash (did you mean "team/reader"?)', id="final-slash"),
        pytest.param(
            f"{ACCOUNT}/a/", f'it ends with a slash (did you mean "{ACCOUNT}/a"?)', id="final-slash-of-an-arn"
        ),
        pytest.param("role/reader/", '(did you mean "reader"?)', id="resource-with-a-final-slash"),
        pytest.param(f"{ACCOUNT}//a", "there is a slash too many in front of the name", id="two-slashes"),
        pytest.param(
            "arn:aws:iam::111122223333:role/", "it is neither a name nor a whole ARN.", id="arn-without-a-name"
        ),
        pytest.param("iam:reader", "it is neither a name nor a whole ARN.", id="nothing-to-suggest"),
        pytest.param("x:y/reader", "it is neither a name nor a whole ARN.", id="colon-in-a-path"),
        pytest.param(
            "reader\n", 'it has a line break (U+000A) at character 7 (did you mean "reader"?)', id="final-line-break"
        ),
        pytest.param(
            f"{ACCOUNT}/reader\r\n",
            f'a carriage return (U+000D) at character 38 (did you mean "{ACCOUNT}/reader"?)',
            id="line-break-after-an-arn",
        ),
        pytest.param(" reader", 'a space at character 1 (did you mean "reader"?)', id="first-space"),
        pytest.param("rea der", "it has a space at character 4.", id="space-inside"),
        pytest.param("reader\t", 'a tab (U+0009) at character 7 (did you mean "reader"?)', id="tab"),
        pytest.param(
            "rea\u200bder", 'U+200B ZERO WIDTH SPACE at character 4 (did you mean "reader"?)', id="zero-width-space"
        ),
        pytest.param(
            "\ufeffreader", 'U+FEFF ZERO WIDTH NO-BREAK SPACE at character 1 (did you mean "reader"?)', id="byte-order"
        ),
        pytest.param("reader\xa0", 'U+00A0 NO-BREAK SPACE at character 7 (did you mean "reader"?)', id="nbsp"),
        pytest.param("re\u0430der", "U+0430 CYRILLIC SMALL LETTER A at character 3.", id="letter-of-another-script"),
        pytest.param('"reader"', 'quotes are a part of the value (did you mean "reader"?)', id="quotes"),
    ],
)
def test_mistake_in_a_role_is_named_with_the_value_that_is_meant(text: str, problem: str) -> None:
    assert problem in str(refusal_of(text))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(text, id=repr(text[:9]))
        for text in (
            *("1" * 4095 + ":", "role/" * 819, ":role/" * 680, "1:" * 2048, "\n" * 4096),
            *("arn:" * 1023 + "/", "arn::iam:" * 455, "arn:aws:iam:" + ":" * 4000 + "/", "a" + "/" * 4095),
            "arn:aws:iam::" + "-" * 4000 + ":role/",
        )
    ],
)
def test_naming_a_mistake_takes_little_time_whatever_the_value(text: str) -> None:
    began = time.process_time()

    refusal_of(text)

    assert time.process_time() - began < 0.05


@pytest.mark.parametrize(
    ("text", "arn"),
    [
        ("reader", f"{ACCOUNT}/reader"),
        ("/reader", f"{ACCOUNT}/reader"),
        ("team/a/reader", f"{ACCOUNT}/team/a/reader"),
        ("a+b=c,d.e@f-g_h", f"{ACCOUNT}/a+b=c,d.e@f-g_h"),
        ("x" * 64, f"{ACCOUNT}/{'x' * 64}"),
        ("arn:aws:iam::999988887777:role/team/reader", "arn:aws:iam::999988887777:role/team/reader"),
    ],
)
def test_name_path_and_arn_resolve_to_the_canonical_arn(text: str, arn: str) -> None:
    assert parse_role(text, "x", CONFIG) == arn


def test_role_in_another_partition_is_rejected_with_both_partitions() -> None:
    error = refusal_of("arn:aws-us-gov:iam::111122223333:role/reader")

    assert error.explanation.reason is Reason.WRONG_PARTITION
    assert "aws-us-gov" in str(error)
    assert "region eu-west-1 is in partition aws" in str(error)


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("eu-west-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eusc-de-east-1", "aws-eusc"),
    ],
)
def test_name_resolves_to_the_partition_of_the_region(region: str, partition: str) -> None:
    config = Config.from_environ({**ENVIRON, "PODROLE_REGION": region})

    assert parse_role("reader", "x", config) == f"arn:{partition}:iam::111122223333:role/reader"


def test_name_without_configured_account_is_rejected_with_the_remedy() -> None:
    error = refusal_of("reader", CONFIG._replace(account_id=None))

    assert error.explanation.reason is Reason.ACCOUNT_NOT_CONFIGURED
    assert "PODROLE_ACCOUNT_ID" in str(error)


def test_arn_needs_no_configured_account() -> None:
    arn = f"{ACCOUNT}/reader"

    assert parse_role(arn, "x", CONFIG._replace(account_id=None)) == arn


def test_base_arn_can_have_a_path() -> None:
    config = CONFIG._replace(base_role_arn=f"{ACCOUNT}/pods/")

    assert parse_role("team/reader", "x", config) == f"{ACCOUNT}/pods/team/reader"
