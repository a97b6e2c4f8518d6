"""Who a mail says it is from: read strictly, or refused."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime.errors import InvalidError
from services.delivery.domain.authors import domain_of, read_authors


def refused(value: bytes) -> str:
    with pytest.raises(InvalidError) as caught:
        read_authors(value)
    return caught.value.reason


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        (b"ada@example.org", ("ada@example.org",)),
        (b" <ada@Example.ORG> ", ("ada@Example.ORG",)),
        (b'"bob@example.net" <ada@example.org>', ("ada@example.org",)),
        (b"ada@example.org (Ada)", ("ada@example.org",)),
        (b"(Ada) ada@example.org", ("ada@example.org",)),
        (b"=?utf-8?q?Ad=C3=A4?= L. <ada@example.org>", ("ada@example.org",)),
        (b"Ada,\r\n", None),
        ("Adä <adä@bücher.example>".encode(), ("adä@bücher.example",)),
        (b'"a b"@example.org', ('"a b"@example.org',)),
        (b'Ada <"a\\"b"@example.org>', ('"a\\"b"@example.org',)),
        (b"Ada\r\n <ada@example.org>,\r\n\tBob <bob@example.org>", ("ada@example.org", "bob@example.org")),
        (b'"Lovelace, Ada" <ada@example.org>', ("ada@example.org",)),
        (b"", None),
        (b"Ada", None),
        (b"<>", None),
        (b"<postmaster>", None),
        (b"bob@example.net <ada@example.org>", None),
        (b"<bob@example.net> <ada@example.org>", None),
        (b"<ada@example.org> bob@example.net", None),
        (b"<ada@example.org> Ada", None),
        (b"ada@example.org bob@example.net", None),
        (b"Ada: ada@example.org;", None),
        (b"ada@example.org,", None),
        (b"ada@example.org;bob@example.net", None),
        (b'"Ada <ada@example.org>', None),
        (b"(Ada <ada@example.org>", None),
        (b"((Ada) x) <ada@example.org>", None),
        (b"<@example.net:ada@example.org>", None),
        (b"<ada @example.org>", None),
        (b"ada @example.org", None),
        (b"ada(x)@example.org", None),
        (b"<ada@example.org", None),
        (b"Ada\\ <ada@example.org>", None),
        (b"<ada@[192.0.2.1]>", None),
        (b"<ada@example..org>", None),
        (b"<ada@example.org.>", None),
        ("<ada@\u202eexample.org>".encode(), None),
        ("<ada@xn--\u00fc.example>".encode(), None),
        (b"<ada\xff@example.org>", None),
        (b", ".join([b"ada@example.org"] * 51), None),
        (b",\r\n ".join([b"a" * 60 + b"@example.org"] * 20 + [b'"' + b"a" * 900 + b'" <b@c.de>'] * 10), None),
    ],
)
def test_who_a_mail_is_from_is_read_strictly(value: bytes, addresses: tuple[str, ...] | None) -> None:
    if addresses is None:
        assert refused(value) == "from_malformed"
    else:
        assert read_authors(value) == list(addresses)


@pytest.mark.parametrize(
    "value",
    [b"(" * 8000, b'"' * 8001, b"<" * 8000, b"a," * 4000, b" " * 8000, b"a@" * 4000, b'"\\' * 4000, b"()" * 4000],
)
def test_hostile_fields_take_linear_time(value: bytes) -> None:
    folded = b"\r\n ".join(value[at : at + 900] for at in range(0, len(value), 900))
    begun = time.thread_time()
    assert refused(folded) == "from_malformed"
    assert time.thread_time() - begun < 0.5


@given(st.one_of(st.binary(max_size=100), st.text(' "(),:;<>@[]\\\\ab.\u00e4\t', max_size=60).map(str.encode)))
def test_what_is_not_refused_has_addresses_with_domains(value: bytes) -> None:
    try:
        authors = read_authors(value)
    except InvalidError as error:
        assert error.reason == "from_malformed"
        return
    assert authors and all("@" in author and domain_of(author) for author in authors)
