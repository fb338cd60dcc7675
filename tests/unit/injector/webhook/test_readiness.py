from injector.webhook.readiness import ReadinessGates


def test_what_is_waited_for_is_named_until_it_is_over() -> None:
    gates, can_close = ReadinessGates(), [False]
    gates.add("the cache is empty", lambda: can_close[0])

    before = gates.find()
    can_close[0] = True

    assert before == ["the cache is empty"]
    assert gates.find() == []


def test_what_was_reached_once_stays_reached() -> None:
    gates, can_close = ReadinessGates(), [True]
    gates.add("the cache is empty", lambda: can_close[0])
    gates.find()

    can_close[0] = False

    assert gates.find() == []
