"""The sidecar's own client of STS beside boto3: both get the same answers and must have the same outcome."""

import pytest

from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure
from testing.raw_server import raw_server
from tests.integration.sidecar.sts_answers import codes, documents, framing, times
from tests.integration.sidecar.sts_answers.answer import EXPIRES_AT, GRANT, GRANTED, Answer, build_response
from tests.integration.sidecar.sts_clients import TOKEN, BothClients, name_outcome

ANSWERS = [
    *(codes.TRANSIENT + codes.PERMANENT + codes.STATUSES + codes.PAGES + codes.REDIRECTS),
    *(documents.FORMS + documents.FIELDS + documents.BOMBS),
    *(times.EXPIRATIONS + times.DATES),
    *(framing.TRUNCATED + framing.LARGE),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=[answer.name for answer in ANSWERS])
def test_outcome_is_that_of_boto3(answer: Answer, both_clients: BothClients) -> None:
    """Where it is not, the row says why, and what boto3's is."""
    with raw_server(answer.response) as server:
        ours, reference = both_clients.ask(server.url())

    assert name_outcome(ours) == answer.code
    assert name_outcome(reference) == (answer.boto3_code or answer.code)
    if isinstance(ours, Failure):
        assert ours.is_permanent == answer.is_permanent
        assert ours.message == (ours.message if answer.message is None else answer.message)
        assert TOKEN not in ours.message
    if answer.reason:
        return
    if isinstance(reference, Failure) and answer.message is None:  # the words are not STS's
        reference = reference._replace(message=ours.message if isinstance(ours, Failure) else "")
    assert ours == reference


def test_every_documented_code_has_a_row() -> None:
    documented = codes.read_documented_codes()

    assert len(documented) > 15
    of_the_clock = {"ClockOutOfRange"}  # test_node_whose_clock_has_a_year_of_five_digits_is_one_failure
    assert documented - {answer.code for answer in ANSWERS} == of_the_clock


def test_names_of_rows_are_unique() -> None:
    assert len({answer.name for answer in ANSWERS}) == len(ANSWERS) > 130


def test_credentials_are_those_of_the_response(both_clients: BothClients) -> None:
    date = "Date: Sun, 29 Nov 2026 22:21:31 GMT"

    with raw_server(build_response(200, GRANT, date)) as server:
        ours, reference = both_clients.ask(server.url())

    assert isinstance(ours, Credentials)
    assert ours == reference
    assert (ours.access_key_id, ours.secret_access_key, ours.session_token, ours.expires_at) == (
        "ASIAEXAMPLE",
        "secret/key",
        "token+/==",
        EXPIRES_AT,
    )
    assert ours.clock_ahead_seconds < -800


@pytest.mark.parametrize("path", ["", "/", "/sts", "/sts/", "/a/b%20c"], ids=["none", "slash", "one", "one/", "two"])
def test_request_is_that_of_boto3(both_clients: BothClients, path: str) -> None:
    """boto3 adds headers of its own, and orders the form in another way."""
    with raw_server(build_response(200, GRANT)) as server:
        outcomes = both_clients.ask(server.url(path=path))

    ours, reference = (both_clients.parse(request) for request in server.requests)
    assert [name_outcome(outcome) for outcome in outcomes] == [GRANTED] * 2
    assert (ours.line, ours.host, ours.content_type, ours.form) == (
        reference.line,
        reference.host,
        reference.content_type,
        reference.form,
    )
    assert ours.form["WebIdentityToken"] == TOKEN
    assert not {"authorization", "x-amz-security-token"} & ours.headers.keys()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[::1]:1", "https://sts.invalid"], ids=["4", "6", "name"])
def test_unreachable_endpoint_is_named_as_by_boto3(both_clients: BothClients, url: str) -> None:
    ours, reference = both_clients.ask(url)

    assert name_outcome(ours) == name_outcome(reference) == "EndpointConnectionError"


def test_silent_server_is_a_read_timeout(both_clients: BothClients) -> None:
    with raw_server(lambda one: one.wait()) as server:
        ours, reference = both_clients.ask(server.url(), within_seconds=0.3)

    assert name_outcome(ours) == name_outcome(reference) == "ReadTimeoutError"


def test_answer_byte_by_byte_is_cut_at_the_deadline(both_clients: BothClients) -> None:
    """Stricter: boto3 waits for the next byte again and again, until the parent kills the child."""
    answer = build_response(200, GRANT)

    with raw_server(lambda one: one.drip(answer, 1 / len(answer))) as server:
        ours, reference = both_clients.ask(server.url(), within_seconds=0.3)

    assert (name_outcome(ours), name_outcome(reference)) == ("ReadTimeoutError", GRANTED)


def test_slow_answer_within_the_deadline_is_complete(both_clients: BothClients) -> None:
    answer = build_response(200, GRANT)

    with raw_server(lambda one: one.drip(answer, 0.1 / len(answer))) as server:
        ours, reference = both_clients.ask(server.url())

    assert name_outcome(ours) == name_outcome(reference) == GRANTED
