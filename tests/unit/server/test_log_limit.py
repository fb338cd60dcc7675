from server.log_limit import INTERVAL_SECONDS, MAX_DETAIL_CHARACTERS, LimitedLog


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
