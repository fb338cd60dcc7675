from injector.webhook.readiness import Obstacles


def test_what_is_waited_for_is_named_until_it_is_over() -> None:
    obstacles, is_over = Obstacles(), [False]
    obstacles.add("the cache is empty", lambda: is_over[0])

    before = obstacles.find()
    is_over[0] = True

    assert before == ["the cache is empty"]
    assert obstacles.find() == []


def test_what_was_reached_once_stays_reached() -> None:
    obstacles, is_over = Obstacles(), [True]
    obstacles.add("the cache is empty", lambda: is_over[0])
    obstacles.find()

    is_over[0] = False

    assert obstacles.find() == []
