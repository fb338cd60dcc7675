"""URLs of the settings."""

import pytest

from contract.value_types import ENDPOINT, PROXY


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="empty"),
        pytest.param("sts.example.com", id="no-scheme"),
        pytest.param("ftp://sts.example.com", id="another-scheme"),
        pytest.param("https://", id="no-host"),
        pytest.param("https:///sts", id="no-host-but-a-path"),
        pytest.param("https://.example.com", id="dot-before-the-host"),
        pytest.param("https://.", id="only-a-dot"),
        pytest.param("https://user@sts.example.com", id="user"),
        pytest.param("https://user:password@sts.example.com/", id="password"),
        pytest.param("https://sts.example.com?a=b", id="query"),
        pytest.param("https://sts.example.com/sts?a=b", id="query-after-a-path"),
        pytest.param("https://sts.example.com/sts#a", id="fragment"),
        pytest.param("https://sts.example.com:", id="empty-port"),
        pytest.param("https://sts.example.com:0", id="port-0"),
        pytest.param("https://sts.example.com:65536", id="port-too-large"),
        pytest.param("https://sts.example.com:https", id="port-not-a-number"),
        pytest.param("https://::1", id="ipv6-without-brackets"),
        pytest.param("https://[::1", id="ipv6-with-one-bracket"),
        pytest.param("https://sts.example.com/a b", id="blank"),
        pytest.param("https://sts.example.com/\r\nHost: other", id="line-break"),
        pytest.param("https://sts.example.com/\n", id="line-feed-at-the-end"),
        pytest.param("https://sts.example.com/$(HOME)", id="reference-in-the-path"),
        pytest.param("https://$(HOME)/", id="reference-in-the-host"),
        pytest.param("https://sts.ex\u00e4mple.com", id="not-ascii"),
    ],
)
def test_other_text_is_not_an_endpoint(url: str) -> None:
    assert not ENDPOINT.accepts(url)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://sts", id="one-label"),
        pytest.param("https://sts.example.com", id="host"),
        pytest.param("https://sts.example.com./", id="dot-after-the-host"),
        pytest.param("https://sts.example.com/", id="slash"),
        pytest.param("https://sts.example.com:65535", id="largest-port"),
        pytest.param("https://vpce.example.com/sts", id="path"),
        pytest.param("https://vpce.example.com:8443/a/b-c_d.e~f/%20:@", id="port-and-long-path"),
        pytest.param("http://127.0.0.1:9000", id="ipv4"),
        pytest.param("http://[fd00::1]:9000/sts", id="ipv6"),
    ],
)
def test_url_of_a_server_is_an_endpoint(url: str) -> None:
    assert ENDPOINT.accepts(url)


@pytest.mark.parametrize(
    ("url", "is_accepted"),
    [
        pytest.param("http://proxy:3128", True, id="port"),
        pytest.param("https://[fd00::1]:3128/", True, id="ipv6"),
        pytest.param("http://proxy:65536", False, id="port-too-large"),
        pytest.param("http://proxy:0", False, id="port-0"),
        pytest.param("http://proxy", False, id="no-port"),
        pytest.param("http://proxy:3128/path", False, id="path"),
    ],
)
def test_proxy_has_a_port_and_no_path(url: str, is_accepted: bool) -> None:  # noqa: FBT001 - a column of the table
    assert PROXY.accepts(url) is is_accepted
