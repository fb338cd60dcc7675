from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from server.messages import Request, WouldBlock
from server.wsgi import MAY_BLOCK, WsgiHandler

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

POST = Request(
    "POST",
    "/a%2Fb%20c?x=%31",
    {"host": "a", "content-type": "text/plain", "x-one": "1", "x_one": "2", "content-length": "4"},
    b"body",
    "1.1",
    ("10.0.0.1", 40000),
    ("127.0.0.1", 80),
    is_tls=True,
    may_block=False,
)


class Recorder:
    """A WSGI app that remembers its environ and answers in two chunks."""

    def __init__(self) -> None:
        self.environ: WSGIEnvironment = {}
        self.is_closed = False

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        self.environ = environ
        start_response("200 OK", [("Content-Length", "5"), ("X-Two", "2")])
        return self

    def __iter__(self) -> Iterator[bytes]:
        yield b"he"
        yield b"llo"

    def close(self) -> None:
        self.is_closed = True


def test_environ_has_the_parts_of_the_request() -> None:
    app = Recorder()

    WsgiHandler(app)(POST)

    environ: dict[str, Any] = dict(app.environ)
    assert environ.pop("wsgi.input").read() == b"body"
    assert environ.pop("wsgi.errors").writable()
    assert environ == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a/b c",
        "QUERY_STRING": "x=%31",
        "RAW_URI": "/a%2Fb%20c?x=%31",
        "REMOTE_ADDR": "10.0.0.1",
        "REMOTE_PORT": "40000",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "a",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "4",
        "HTTP_X_ONE": "1",  # a header x_one would have the same name
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        MAY_BLOCK: False,
    }


def test_length_of_a_chunked_body_is_set() -> None:
    app = Recorder()

    WsgiHandler(app)(POST._replace(headers={"transfer-encoding": "chunked"}))

    assert app.environ["CONTENT_LENGTH"] == "4"


def test_response_is_collected_and_closed_after_it_was_sent() -> None:
    app = Recorder()

    response = WsgiHandler(app)(POST)

    assert (response.status, response.body, response.headers) == (200, b"hello", (("X-Two", "2"),))
    assert not app.is_closed
    assert response.after is not None
    response.after()
    assert app.is_closed


def test_written_data_comes_before_the_chunks() -> None:
    def app(_environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start_response("201 Created", [])(b"he")
        return [b"llo"]

    response = WsgiHandler(app)(POST)

    assert (response.status, response.body) == (201, b"hello")


@pytest.mark.parametrize("error", [WouldBlock(), RuntimeError("x"), SystemExit()], ids=["block", "error", "exit"])
def test_exception_of_the_app_is_raised_and_its_iterable_closed(error: BaseException) -> None:
    class Failing(Recorder):
        def __iter__(self) -> Iterator[bytes]:
            raise error

    app = Failing()

    with pytest.raises(type(error)):
        WsgiHandler(app)(POST)

    assert app.is_closed


def test_app_that_starts_no_response_is_an_error() -> None:
    with pytest.raises(AssertionError, match="did not start"):
        WsgiHandler(lambda _environ, _start_response: [b"x"])(POST)


def test_app_that_starts_its_response_twice_is_an_error() -> None:
    def app(_environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start_response("200 OK", [])
        start_response("200 OK", [])
        return []

    with pytest.raises(AssertionError, match="twice"):
        WsgiHandler(app)(POST)


def test_app_can_replace_its_response_after_an_error() -> None:
    def app(_environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start_response("200 OK", [])
        error = RuntimeError("x")
        start_response("500 Internal Server Error", [("X", "1")], (RuntimeError, error, None))  # type: ignore[arg-type] # not raised
        return [b"sorry"]

    response = WsgiHandler(app)(POST)

    assert (response.status, response.headers, response.body) == (500, (("X", "1"),), b"sorry")
