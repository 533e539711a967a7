"""Selections as people write them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logd.query.fields import TEXT
from logd.query.grammar import format_terms, parse, parse_condition
from logd.query.terms import Term, WrongSelection
from logd.query.views import Wishes


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("cat:E", [Term("cat", "=", "E")]),
        ("-host:10.0.0.7", [Term("host", "=", "10.0.0.7", is_not=True)]),
        ("timeout", [Term(TEXT, "=", "timeout")]),
        ('"card declined"', [Term(TEXT, "=", "card declined")]),
        (r'"a \"b\" \\"', [Term(TEXT, "=", r'a "b" \ '.rstrip())]),
        ("/time(d )?out/", [Term(TEXT, "~", "time(d )?out")]),
        ("-/a b/i", [Term(TEXT, "~", "a b", is_not=True, ignore_case=True)]),
        (r"/a\/b/", [Term(TEXT, "~", "a/b")]),
        ("/srv/app", [Term(TEXT, "=", "/srv/app")]),
        ("ms:>500", [Term("ms", ">", "500")]),
        ("ms:<=0.5", [Term("ms", "<=", "0.5")]),
        ("user:/^a/", [Term("user", "~", "^a")]),
        ('func:"do it"', [Term("func", "=", "do it")]),
        ('"my key":1', [Term("my key", "=", "1")]),
        ("has:traceback", [Term("traceback", "has")]),
        ("site:views.py(140)", [Term("site", "=", "views.py(140)")]),
        ("12:30", [Term(TEXT, "=", "12:30")]),
        ("http://host/", [Term(TEXT, "=", "http://host/")]),
        ("a  - b", [Term(TEXT, "=", "a"), Term(TEXT, "=", "-"), Term(TEXT, "=", "b")]),
        ("cat:E cat:W x", [Term("cat", "=", "E"), Term("cat", "=", "W"), Term(TEXT, "=", "x")]),
    ],
)
def test_words(text: str, terms: list[Term]) -> None:
    """Each kind of word becomes its condition."""
    assert list(parse(text)) == terms


@pytest.mark.parametrize(
    "text",
    ['"open', "user:", "ms:>fast", "/(/", "pid:ann", "msgid:x", '"a"b', '-"', ":", "x" * 70000],
)
def test_what_is_wrong(text: str) -> None:
    """What can't be understood, or can never match, is refused with a text."""
    if text == ":":
        assert parse(text) == (Term(TEXT, "=", ":"),)
        return
    with pytest.raises(WrongSelection):
        parse(text)


VALUES = st.text(min_size=1, max_size=12) | st.sampled_from(['"', "\\", "/x/", "-a", "a:b", ">1"])
NAMES = st.sampled_from(["user", "item.cat", "a b", "-x", "1", "ü", 'q"', "has"])
TERMS = st.builds(
    Term, NAMES | st.just("site") | st.just(TEXT), st.just("="), VALUES, st.booleans()
) | st.builds(Term, NAMES, st.sampled_from(["<", "<=", ">", ">="]), st.just("5"), st.booleans())
PATTERNS = st.builds(
    Term,
    NAMES | st.just(TEXT),
    st.just("~"),
    st.sampled_from(["a/b", "a b", r"\d+", r"\\/", "[/]", "(a|b)"]),
    st.booleans(),
    st.booleans(),
)


def is_writable(term: Term) -> bool:
    """`has:x` is another condition than the item "has"."""
    return term.field != "has" or term.operator != "="


@given(st.lists((TERMS | PATTERNS).filter(is_writable)))
@example([Term(TEXT, "=", "user:ann")])
@example([Term("user", "=", "")])
def test_format_is_read_back(terms: list[Term]) -> None:
    """Conditions that are written as a line are read as the same."""
    assert list(parse(format_terms(terms))) == terms


@given(st.text(max_size=40))
def test_any_text(text: str) -> None:
    """Whatever someone types, it is understood or refused; what is understood can be written."""
    try:
        terms = parse(text)
    except WrongSelection:
        return
    assert parse(format_terms(terms)) == terms


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("user=ann", Term("user", "=", "ann")),
        ("user!=ann", Term("user", "=", "ann", is_not=True)),
        ("ms>=5", Term("ms", ">=", "5")),
        ("q=a=b", Term("q", "=", "a=b")),
        ("user~^a", Term("user", "~", "^a")),
        ("user!~^a", Term("user", "~", "^a", is_not=True)),
        ("user=", Term("user", "=", "")),
        ("ms > 5", Term("ms", ">", "5")),
        ("user= ann", Term("user", "=", " ann")),
        ("user=E,W", Term("user", "=", "E,W")),
    ],
)
def test_conditions(text: str, term: Term) -> None:
    """`--where` takes comparisons of one item."""
    assert parse_condition(text) == (term,)


def test_categories_in_conditions() -> None:
    """Several categories are alternatives there as everywhere."""
    assert parse_condition("cat=E,W") == (Term("cat", "=", "E"), Term("cat", "=", "W"))


def test_conditions_that_are_none() -> None:
    """A text without a comparison is refused, and so is what no number can be compared with."""
    with pytest.raises(WrongSelection, match="expected KEY=VALUE"):
        parse_condition("user")
    with pytest.raises(WrongSelection, match="expected a number"):
        parse_condition("ms>nan")


@pytest.mark.parametrize(
    ("excluded", "same"),
    [
        ("cat=E,W", "-cat:E -cat:W"),
        ("user=ann", "-user:ann"),
        ("user!=ann", "user:ann"),
        ("ms>=500", "-ms:>=500"),
        ("ms:>=500", "-ms:>=500"),
        ('"a=b"', '-"a=b"'),
        ("/a=b/", "-/a=b/"),
        ("card declined", "-card -declined"),
        ("url:http://host/?a=b", "-url:http://host/?a=b"),
    ],
)
def test_what_is_excluded(excluded: str, same: str) -> None:
    """`--not` takes a comparison as `--where` does, or words, which may have one in them."""
    assert Wishes(fields={}, excluded=[excluded]).terms() == parse(same)
