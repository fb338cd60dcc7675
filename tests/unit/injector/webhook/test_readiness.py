from injector.webhook.readiness import ReadinessGates


def test_gate_is_pending_until_it_opens() -> None:
    gates, is_open = ReadinessGates(), [False]
    gates.add("the cache is empty", lambda: is_open[0])

    before = gates.pending()
    is_open[0] = True

    assert before == ["the cache is empty"]
    assert gates.pending() == []


def test_gate_that_was_open_once_stays_open() -> None:
    gates, is_open = ReadinessGates(), [True]
    gates.add("the cache is empty", lambda: is_open[0])
    gates.pending()

    is_open[0] = False

    assert gates.pending() == []


def test_condition_that_is_not_met_makes_unready_each_time_but_reviews_are_answered() -> None:
    gates, is_met = ReadinessGates(), [True]
    gates.add_condition("the clock is wrong", lambda: is_met[0])
    seen = []
    for is_met[0] in (True, False, True, False):
        seen.append((gates.unready(), gates.pending()))

    assert seen == [([], []), (["the clock is wrong"], [])] * 2
