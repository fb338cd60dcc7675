"""Requests whose end two servers could see at different places. Each hides a second request in its body.

https://www.rfc-editor.org/rfc/rfc9112#section-11.2
"""

LENGTH_HEADERS = {
    "length-plus": b"Content-Length: +<N>\r\n",
    "length-minus": b"Content-Length: -<N>\r\n",
    "length-list": b"Content-Length: <N>, <N>\r\n",
    "length-list-with-0": b"Content-Length: 0, <N>\r\n",
    "length-hex": b"Content-Length: 0x<N>\r\n",
    "length-underscore": b"Content-Length: 0_<N>\r\n",
    "length-space-inside": b"Content-Length: 0 <N>\r\n",
    "length-decimal-point": b"Content-Length: <N>.0\r\n",
    "length-vertical-tab": b"Content-Length:\v<N>\r\n",
    "length-form-feed": b"Content-Length: <N>\f\r\n",
    "length-2-to-64": b"Content-Length: 18446744073709551616\r\n",
    "length-500-digits": b"Content-Length: " + b"9" * 500 + b"\r\n",
    "length-empty": b"Content-Length:\r\n",
    "length-full-width-digits": "Content-Length: \uff14\uff19\r\n".encode(),
    "length-quoted": b'Content-Length: "<N>"\r\n',
    "length-twice": b"Content-Length: <N>\r\nContent-Length: <N>\r\n",
    "length-twice-different": b"Content-Length: 0\r\nContent-Length: <N>\r\n",
    "length-space-before-colon": b"Content-Length : <N>\r\n",
    "length-tab-before-colon": b"Content-Length\t: <N>\r\n",
    "length-after-space": b" Content-Length: <N>\r\n",
    "length-folded": b"Content-Length:\r\n <N>\r\n",
    "length-in-folded-line": b"X: 1\r\n Content-Length: <N>\r\n",
    "length-after-lf": b"X: 1\nContent-Length: <N>\r\n",
    "length-after-cr": b"X: 1\rContent-Length: <N>\r\n",
    "length-after-nul": b"X: 1\0Content-Length: <N>\r\n",
    "length-and-coding": b"Content-Length: <N>\r\nTransfer-Encoding: chunked\r\n",
    "nul-in-name": b"X\0Y: 1\r\n",
    "no-colon": b"Content-Length <N>\r\n",
    "no-name": b": <N>\r\n",
    "two-hosts": b"Host: b\r\n",
}
"""Headers before a body. `<N>` stands for its length."""

CODING_HEADERS = {
    "coding-xchunked": b"Transfer-Encoding: xchunked\r\n",
    "coding-then-identity": b"Transfer-Encoding: chunked, identity\r\n",
    "coding-after-identity": b"Transfer-Encoding: identity, chunked\r\n",
    "coding-after-gzip": b"Transfer-Encoding: gzip, chunked\r\n",
    "coding-list-of-two": b"Transfer-Encoding: chunked, chunked\r\n",
    "coding-twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "coding-vertical-tab": b"Transfer-Encoding:\vchunked\r\n",
    "coding-nul": b"Transfer-Encoding: chunked\0\r\n",
    "coding-quoted": b'Transfer-Encoding: "chunked"\r\n',
    "coding-empty": b"Transfer-Encoding:\r\n",
    "coding-comma": b"Transfer-Encoding: ,\r\n",
    "coding-gzip": b"Transfer-Encoding: gzip\r\n",
    "coding-with-parameter": b"Transfer-Encoding: chunked;q=1\r\n",
    "coding-space-before-colon": b"Transfer-Encoding : chunked\r\n",
    "coding-folded": b"Transfer-Encoding:\r\n chunked\r\n",
    "coding-then-length": b"Transfer-Encoding: chunked\r\nContent-Length: <N>\r\n",
}
"""Headers before a chunked body that is empty."""

CHUNKS = {
    "chunk-size-17-digits": b"11111111111111111\r\n<INNER>",
    "chunk-size-2-to-64": b"10000000000000000\r\n\r\n<INNER>",
    "chunk-size-minus": b"-0\r\n\r\n<INNER>",
    "chunk-size-plus": b"+0\r\n\r\n<INNER>",
    "chunk-size-0x": b"0x0\r\n\r\n<INNER>",
    "chunk-size-space-after": b"0 \r\n\r\n<INNER>",
    "chunk-size-empty": b"\r\n\r\n<INNER>",
    "chunk-lf": b"0\n\n<INNER>",
    "chunk-cr": b"0\r\r<INNER>",
    "chunk-extension-lf": b"0;a\n\r\n\r\n<INNER>",
    "chunk-too-long": b"1\r\nxx\r\n0\r\n\r\n<INNER>",
    "trailer-length": b"0\r\nContent-Length: <N>\r\n\r\n<INNER>",
    "trailer-nul": b"0\r\nX: \0\r\n\r\n<INNER>",
}
"""Chunked bodies."""

LINES = {
    "version-0.9": b"GET /\r\n",
    "version-2.0": b"GET / HTTP/2.0\r\n",
    "version-1.2": b"GET / HTTP/1.2\r\n",
    "version-11.1": b"GET / HTTP/11.1\r\n",
    "version-lower-case": b"GET / http/1.1\r\n",
    "rtsp": b"PLAY / RTSP/1.0\r\n",
    "ice": b"SOURCE / ICE/1.0\r\n",
    "line-lf": b"GET / HTTP/1.1\n",
    "line-cr": b"GET / HTTP/1.1\r",
    "line-tab": b"GET\t/\tHTTP/1.1\r\n",
    "line-nul": b"GET /\0 HTTP/1.1\r\n",
    "method-lower-case": b"get / HTTP/1.1\r\n",
    "space-before-method": b" GET / HTTP/1.1\r\n",
}
"""Request lines that are not HTTP/1.x."""

CLOSING = {
    "upgrade-with-body": b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: <N>\r\n",
    "close": b"Connection: close\r\n",
    "close-among-others": b"Connection: keep-alive, close\r\n",
}
"""Headers after which the server must not take what follows for a request: it closes, or reads a body."""


def build_attacks(inner: bytes, headers: bytes) -> dict[str, bytes]:
    """Requests that must be rejected; each has `headers`."""
    post, chunked = b"POST / HTTP/1.1\r\n" + headers, b"Transfer-Encoding: chunked\r\n"
    templates = {name: post + added + b"\r\n<INNER>" for name, added in LENGTH_HEADERS.items()}
    templates |= {name: post + added + b"\r\n0\r\n\r\n<INNER>" for name, added in CODING_HEADERS.items()}
    templates |= {name: post + chunked + b"\r\n" + body for name, body in CHUNKS.items()}
    templates |= {name: line + headers + b"\r\n<INNER>" for name, line in LINES.items()}
    templates["chunked-in-1.0"] = (
        post.replace(b"/1.1", b"/1.0") + b"Connection: keep-alive\r\n" + chunked + b"\r\n0\r\n\r\n<INNER>"
    )
    return {name: _fill(template, inner) for name, template in templates.items()}


def build_closing(inner: bytes, headers: bytes) -> dict[str, bytes]:
    """Requests of which the second must not be answered, whether or not the first is rejected."""
    post = b"POST / HTTP/1.1\r\n" + headers
    templates = {name: post + added + b"\r\n<INNER>" for name, added in CLOSING.items()}
    templates["connect"] = b"CONNECT a:80 HTTP/1.1\r\n" + headers + b"\r\n<INNER>"
    templates["connect-with-body"] = b"CONNECT a:80 HTTP/1.1\r\n" + headers + b"Content-Length: <N>\r\n\r\n<INNER>"
    templates["no-keep-alive-in-1.0"] = post.replace(b"/1.1", b"/1.0") + b"\r\n<INNER>"
    for name, zeros in {"20-zeros": 20, "3000-zeros": 3000}.items():
        templates[f"length-{name}"] = post + b"Content-Length: " + b"0" * zeros + b"<N>\r\n\r\n<INNER>"
    return {name: _fill(template, inner) for name, template in templates.items()}


def _fill(template: bytes, inner: bytes) -> bytes:
    return template.replace(b"<N>", b"%d" % len(inner)).replace(b"<INNER>", inner)
