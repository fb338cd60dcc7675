"""Fields of XML documents: what is refused, and what is found."""

import tracemalloc

import pytest

from sidecar.sts.xml_fields import MAX_DEPTH, read_fields

PATHS = {"Error/Code": "code", "Error/Message": "message"}
LAUGHS = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))


@pytest.mark.parametrize(
    "document",
    [
        pytest.param("", id="empty"),
        pytest.param(" ", id="blank"),
        pytest.param("not found", id="text"),
        pytest.param("{}", id="json"),
        pytest.param("<a>", id="not-closed"),
        pytest.param("<a></b>", id="closed-by-another"),
        pytest.param("<a/><b/>", id="two-roots"),
        pytest.param("<a/>text", id="text-after-the-root"),
        pytest.param("<a>&unknown;</a>", id="unknown-entity"),
        pytest.param("<a>&#0;</a>", id="character-0"),
        pytest.param("<a b='1' b='2'/>", id="attribute-twice"),
        pytest.param("<x:a/>", id="unknown-prefix"),
        pytest.param("<a xmlns='b c'/>", id="namespace-with-a-blank"),
        pytest.param("<!DOCTYPE a><a/>", id="document-type"),
        pytest.param("<!DOCTYPE a SYSTEM 'http://127.0.0.1:1/'><a/>", id="external-document-type"),
        pytest.param("<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>", id="entity"),
        pytest.param("<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>&e;</a>", id="external-entity"),
        pytest.param("<!DOCTYPE a [<!ENTITY % e SYSTEM 'file:///etc/passwd'> %e;]><a/>", id="parameter-entity"),
        pytest.param("<a>" * (MAX_DEPTH + 1) + "</a>" * (MAX_DEPTH + 1), id="too-deep"),
        pytest.param("<R><Error><Code>A</Code><Code>B</Code></Error></R>", id="field-twice"),
        pytest.param("<R><Error><Code>A</Code></Error><Error><Code/></Error></R>", id="field-twice-in-two-parents"),
    ],
)
def test_document_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match=r"not well-formed|a document type|more than"):
        read_fields(document.encode(), PATHS)


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(ValueError, match="not well-formed"):
        read_fields(b"<a>\xff</a>", PATHS)


def test_entities_are_not_expanded() -> None:
    document = f'<!DOCTYPE a [<!ENTITY e0 "lol">{LAUGHS}]><a>&e11;</a>'.encode()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="document type"):
            read_fields(document, PATHS)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_error_quotes_nothing_of_the_document() -> None:
    with pytest.raises(ValueError, match="not well-formed") as caught:
        read_fields(b"<Credentials><SecretAccessKey>SECRET<", PATHS)

    assert "SECRET" not in str(caught.value) + str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        pytest.param(
            "<R><Error><Code>A</Code><Message>m</Message></Error></R>", {"code": "A", "message": "m"}, id="both"
        ),
        pytest.param("<R><Error><Code/></Error></R>", {"code": ""}, id="empty"),
        pytest.param("<R/>", {}, id="none"),
        pytest.param("<Error><Code>A</Code></Error>", {}, id="root-does-not-count"),
        pytest.param("<R><X><Error><Code>A</Code></Error></X></R>", {}, id="deeper"),
        pytest.param("<R><Error><Code> A\n</Code></Error></R>", {"code": " A\n"}, id="blanks-are-kept"),
        pytest.param("<R><Error><Code>A<x/>B</Code></Error></R>", {"code": "A"}, id="until-the-first-child"),
        pytest.param("<R><Error><Code>&lt;&#65;<![CDATA[<]]></Code></Error></R>", {"code": "<A<"}, id="escaped"),
        pytest.param("<R><Error>x<Code>A</Code>y</Error></R>", {"code": "A"}, id="text-beside"),
        pytest.param("<r:R xmlns:r='u:1'><r:Error><r:Code>A</r:Code></r:Error></r:R>", {"code": "A"}, id="namespace"),
        pytest.param("<a>" * MAX_DEPTH + "</a>" * MAX_DEPTH, {}, id="deepest"),
    ],
)
def test_fields_are_found_by_their_paths(document: str, fields: dict[str, str]) -> None:
    assert read_fields(document.encode(), PATHS) == fields
