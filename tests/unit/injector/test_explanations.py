import pytest

from injector.decision.outcomes import Deny
from injector.explanations import MAX_EXPLANATIONS, explain_each, limit_explanations
from injector.reasons import Explanation, Reason
from injector.webhook.messages import MAX_MESSAGE_BYTES, MAX_WARNINGS_BYTES, build_message, build_warnings
from testing.cases import build_case


def explain(number: int, length: int = 10) -> Explanation:
    return Reason.INVALID_VALUE.explain(where=f"value {number}", value="x" * length, expected="short" * length)


def explain_all(count: int, length: int = 10) -> list[Explanation]:
    return [explain(number, length) for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, MAX_EXPLANATIONS])
def test_few_explanations_are_all_kept(count: int) -> None:
    assert limit_explanations(explain_all(count)) == tuple(explain_all(count))


def test_explanations_beyond_the_limit_are_counted() -> None:
    *kept, last = limit_explanations(explain_all(MAX_EXPLANATIONS + 3))

    assert kept == explain_all(MAX_EXPLANATIONS)
    assert last.text == "And 3 more."


def test_counts_of_two_lists_are_added() -> None:
    first = limit_explanations(explain_all(15))

    assert limit_explanations([*first, *first])[-1].text == "And 20 more."


def test_things_beyond_the_limit_are_counted_and_not_explained() -> None:
    explained: list[int] = []

    def explain_and_note(number: int) -> Explanation:
        explained.append(number)
        return explain(number)

    found = [*explain_each(range(1000), explain_and_note)]

    assert explained == [*range(MAX_EXPLANATIONS)]
    assert found[-1].text == "And 990 more."


def test_denial_of_many_problems_has_ten_and_their_number() -> None:
    containers = [{"name": f"c{number}", "securityContext": {"runAsUser": 16925}} for number in range(500)]

    decision = build_case(containers=containers).decide()

    assert isinstance(decision, Deny)
    assert len(decision.explanations) == 11
    message = build_message("demo/app", "0-1", decision.explanations)
    assert message.count("[ReservedUser]") == 10
    assert message.endswith(" And 490 more.")


@pytest.mark.parametrize("length", [1, 100, 200, 5000])
def test_message_has_what_fits_and_the_number_of_the_others(length: int) -> None:
    found = limit_explanations(explain_all(30, length))

    message = build_message("demo/app", "0-1", found)

    shown = message.count("[InvalidValue]")
    assert len(message.encode()) <= MAX_MESSAGE_BYTES
    assert 1 <= shown <= MAX_EXPLANATIONS
    assert message.endswith(f" And {30 - shown} more.")


@pytest.mark.parametrize("length", [1, 100, 200, 5000])
def test_warnings_have_what_fits_and_the_number_of_the_others(length: int) -> None:
    *texts, last = build_warnings(limit_explanations(explain_all(30, length)))

    assert sum(len(text.encode()) for text in texts) <= MAX_WARNINGS_BYTES
    assert 1 <= len(texts) <= MAX_EXPLANATIONS
    assert last == f"And {30 - len(texts)} more."


def test_message_of_a_pod_without_a_name_names_the_request() -> None:
    assert build_message("", "0-1", [explain(1)]).startswith("request 0-1: [InvalidValue]")
