from server.log_limit import INTERVAL_SECONDS, MAX_DETAIL_CHARACTERS, LimitedLog, LogLimit


def test_one_line_per_reason_and_minute_with_the_number_of_occurrences() -> None:
    lines: list[tuple[str, int, str]] = []
    now = [0.0]
    log = LimitedLog(lambda *line: lines.append(line), lambda: now[0])

    for second in range(3 * INTERVAL_SECONDS):
        now[0] = second
        log("often", str(second))
        if second % 100 == 0:
            log("rarely", "")

    assert lines == [("often", 1, "0"), ("rarely", 1, ""), ("often", 60, "60"), ("rarely", 1, ""), ("often", 60, "120")]


def test_long_details_lose_their_beginning() -> None:
    lines: list[tuple[str, int, str]] = []

    LimitedLog(lambda *line: lines.append(line))("failed", "x" * 10_000 + "the error")

    assert len(lines[0][2]) == MAX_DETAIL_CHARACTERS
    assert lines[0][2].endswith("the error")


def test_first_occurrence_of_each_reason_is_logged() -> None:
    limit = LogLimit()

    assert [limit.count(reason, 0) for reason in ("host", "host", "browser")] == [1, None, 1]


def test_next_minutes_line_counts_unlogged_occurrences() -> None:
    limit = LogLimit()
    for second in range(60):
        limit.count("host", second)

    assert limit.count("host", 60) == 60
    assert limit.count("host", 61) is None
    assert limit.count("host", 120) == 2


def test_clock_set_back_starts_a_new_minute() -> None:
    limit = LogLimit()
    limit.count("host", 1_000_000)

    assert limit.count("host", 5) == 1


def test_traceback_is_formatted_only_for_a_line() -> None:
    lines: list[tuple[str, int, str]] = []
    limited = LimitedLog(lambda *line: lines.append(line), lambda: 0.0)

    for number in range(3):
        limited.exception("failed", RuntimeError(f"error {number}"))

    assert len(lines) == 1
    assert lines[0][2].endswith("RuntimeError: error 0\n")


def test_log_that_cannot_be_written_raises_nothing() -> None:
    def fail(*_line: object) -> None:
        raise BrokenPipeError

    LimitedLog(fail)("failed", "")
