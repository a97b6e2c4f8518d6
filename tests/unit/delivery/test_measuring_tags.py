"""Where links are in a page: odd forms, what is no link, pages that are cut off, and time."""

from __future__ import annotations

import time

import pytest

from services.delivery.measuring.tags import NotUnderstoodError, resolved, scan


def urls(page: str) -> list[str]:
    return [one.url for one in scan(page).targets]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ('<a href="https://a.example/">x</a>', ["https://a.example/"]),
        ("<a href='https://a.example/'>x</a>", ["https://a.example/"]),
        ("<a href=https://a.example/?b=c>x</a>", ["https://a.example/?b=c"]),
        ('<A CLASS=b HREF\n=\t"https://a.example/" c>x</A>', ["https://a.example/"]),
        ('<a title="a > b" href="https://a.example/">', ["https://a.example/"]),
        ('<a data-href="https://b.example/" href="https://a.example/">', ["https://a.example/"]),
        ('<a/href="https://a.example/"/>', ["https://a.example/"]),
        ('<map><area href=" https://a.example/\n"></map>', ["https://a.example/"]),
        ('<a href="https://a.example/?b=1&amp;c=2">', ["https://a.example/?b=1&c=2"]),
        ('<a href="https://a.example/?b=1&copy=2&region">', ["https://a.example/?b=1&copy=2&region"]),
        ('<a href="https://a.example/&#x61;&#98;">', ["https://a.example/ab"]),
        ("<a href=>x", [""]),
        ("<a href>x", []),
        # What two readers could take differently.
        ('<a href="https://a.example/" href="https://b.example/">', []),
        # What only looks like a link.
        ('<!-- <a href="https://a.example/"> -->', []),
        ('<!--><a href="https://a.example/"><!-- -->', ["https://a.example/"]),
        ('<!--[if mso]><a href="https://a.example/"><![endif]-->', []),
        ('<!--[if !mso]><!--><a href="https://a.example/"><!--<![endif]-->', ["https://a.example/"]),
        ("<script>'<a href=\"https://a.example/\">'</script>", []),
        ("<style></a><a href=https://a.example/></style >", []),
        ('<textarea><a href="https://a.example/"></textarea>', []),
        ('<title></titles><a href="https://a.example/"></title>', []),
        ('<? <a href="https://a.example/">', []),
        ('</ <a href="https://a.example/">', []),
        ('<abbr href="https://a.example/"><link href="https://a.example/">', []),
        ('1 < 2 <a href="https://a.example/">', ["https://a.example/"]),
        ("<img alt=\"<a href='https://a.example/'>\">", []),
    ],
)
def test_links(page: str, expected: list[str]) -> None:
    assert urls(page) == expected


def test_places() -> None:
    page = '<p><a class=x href = "https://a.example/">one</a><a href=https://b.example/>two</a></p>'
    assert [page[one.start : one.end] for one in scan(page).targets] == ['"https://a.example/"', "https://b.example/"]


@pytest.mark.parametrize(
    ("page", "end"),
    [
        ("<p>x", 4),
        ("<body>x</body></html>", 7),
        ("<body>x</BODY ></html>", 7),
        ("<body>x</body><!-- </body> -->", 7),
        ("<body><script>'</body>'</script></body>", 32),
    ],
)
def test_where_the_end_is(page: str, end: int) -> None:
    assert scan(page).end == end


@pytest.mark.parametrize(
    "page",
    [
        "<p>x<!-- ",
        "x<a href='https://a.example/>",
        "x<a href=x",
        "x<a",
        "<script>1",
        "<!doctype",
        "<plaintext>x",
        "<svg><![CDATA[ > ]]></svg>",
    ],
)
def test_a_page_that_is_cut_off(page: str) -> None:
    with pytest.raises(NotUnderstoodError):
        scan(page)


@pytest.mark.parametrize("text", ["&amp", "&amp;", "&#38;", "&#38", "&#x26;"])
def test_an_ampersand(text: str) -> None:
    assert resolved(text) == "&"


@pytest.mark.parametrize("text", ["&", "&&", "&amp=", "&ampx", "&unknown;", "& amp;", "&#;", "&;"])
def test_no_reference(text: str) -> None:
    assert resolved(text) == text


@pytest.mark.parametrize(
    "piece",
    ["<", "<a ", "<!--", '<a href="', "<!", "<?", "</", "<a href=x>", "=", "&", "<script>", "< /", "<a\n=", "<title"],
)
def test_a_page_of_a_megabyte_takes_a_moment(piece: str) -> None:
    page = piece * (1_000_000 // len(piece))
    began = time.process_time()
    for one in (page, f"<a {page}", f"<a href='{page}"):
        try:
            scan(one)
        except NotUnderstoodError:
            continue
    assert time.process_time() - began < 10
