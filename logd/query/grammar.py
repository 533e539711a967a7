r"""Selections as people write them, in the terminal and on a page: one line of words. Pure.

    cat:E -logger:shop.cache "card declined" /time(d )?out/ user:ann pid:4711@10.0.0.7 ms:>500

- `FIELD:VALUE` the field is that; "*" in a value stands for any characters; values with blanks in
  quotes: `func:"do it"`;
- `cat:E,C` one of these categories;
- `FIELD:>5`, `<`, `>=`, `<=` compared as numbers; `FIELD:/REGEX/` found by a regular expression;
  `has:FIELD` is there at all;
- `TEXT` and `"SOME TEXT"` are in the message; `/REGEX/` is found there; `/REGEX/i` whatever the
  case;
- `-` before any of these: not so.

Fields are those of `logd.query.fields`; any other name is a special item.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from logd.query.fields import TEXT
from logd.query.terms import Operator, Term, WrongSelection

MAX_CHARS = 65_536
"""Longer ones no person writes."""

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_REGEX = r"/(?:[^/\\]|\\.)*/i?(?=\s|\Z)"
# No name begins with a digit, so that 12:30 is a text; and http://host is one.
_PLAIN = r"[^\W\d][^\s:\"/<>=~!\\]*"
_NAME = re.compile(rf"({_QUOTED}|{_PLAIN}):(?!//)", re.DOTALL)
_VALUE = re.compile(rf"({_REGEX})|(<=|>=|<|>)?({_QUOTED}|[^\s\"]\S*)", re.DOTALL)
_WORD = re.compile(rf"({_REGEX})|({_QUOTED}|[^\s\"]\S*)", re.DOTALL)
_BLANKS = re.compile(r"\s*")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PLAIN_WORD = re.compile(r"[^\s\"/<>=~\\-][^\s\"\\]*")
_PLAIN_CATEGORY = re.compile(r"[^\s\"/<>=~\\,-][^\s\"\\,]*")
_PLAIN_NAME = re.compile(_PLAIN)
_CONDITION = re.compile(
    r"(?P<field>[^=!<>~]+)(?P<operator>!=|!~|<=|>=|=|<|>|~)(?P<value>.*)", re.DOTALL
)


def parse(text: str, *, ignore_case: bool = False) -> tuple[Term, ...]:
    """The conditions of a line.

    Args:
        text: see the module.
        ignore_case: whether all of them take "a" and "A" for the same.

    Raises:
        WrongSelection: the text is none, or something in it can't match.
    """
    if len(text) > MAX_CHARS:
        raise WrongSelection(f"a selection of {len(text)} characters: at most {MAX_CHARS}")
    terms: list[Term] = []
    place = _end(_BLANKS, text, 0)
    while place < len(text):
        is_not = text[place] == "-" and place + 1 < len(text) and not text[place + 1].isspace()
        start = place + is_not
        term, place = _term(text, start, is_not=is_not, ignore_case=ignore_case)
        is_quoted = '"' in text[start:place]
        terms += [term] if is_quoted else _alternatives(term)
        place = _end(_BLANKS, text, place)
    return tuple(terms)


def is_word(text: str) -> bool:
    """Whether a text begins as a word does that has a name, quotes, or slashes, and no option."""
    return text.startswith(('"', "/")) or _NAME.match(text) is not None


def parse_condition(
    text: str, *, is_not: bool = False, ignore_case: bool = False
) -> tuple[Term, ...]:
    """A condition as `--where` and `--not` have it: KEY=VALUE, KEY!=VALUE, KEY<N, KEY~REGEX.

    Raises:
        WrongSelection: the text is none.
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise WrongSelection(f"expected KEY=VALUE, !=, <, <=, >, >=, ~ or !~, got {text!r}")
    field, sign, value = match.groups()
    term = Term(
        field.strip(),
        _operator(sign.removeprefix("!")),
        # "ms > 500" is written as people space it.
        value.strip() if field.endswith(" ") else value,
        is_not is not sign.startswith("!"),
        ignore_case,
    )
    return tuple(_alternatives(term))


def format_terms(terms: Iterable[Term]) -> str:
    """The line that `parse` reads as these conditions."""
    return " ".join(map(_format, terms))


def _operator(sign: str) -> Operator:
    operators: dict[str, Operator] = {
        "=": "=", "<": "<", "<=": "<=", ">": ">", ">=": ">=", "~": "~",
    }  # fmt: skip
    return operators[sign]


def _term(text: str, place: int, *, is_not: bool, ignore_case: bool) -> tuple[Term, int]:
    name = _NAME.match(text, place)
    if name is None:
        return _text_term(text, place, is_not=is_not, ignore_case=ignore_case)
    field = _unquoted(name[1])
    value = _VALUE.match(text, name.end())
    if value is None:
        raise WrongSelection(f"{text[place : name.end()]!r}: expected a value after the colon")
    _check_end(text, value)
    regex, comparison, plain = value.groups()
    if regex is not None:
        pattern, is_free = _regex(regex)
        term = Term(field, "~", pattern, is_not, ignore_case or is_free)
    elif comparison is not None:
        term = Term(field, _operator(comparison), _unquoted(plain), is_not, ignore_case)
    elif field == "has":
        term = Term(_unquoted(plain), "has", "", is_not, ignore_case)
    else:
        term = Term(field, "=", _unquoted(plain), is_not, ignore_case)
    return term, value.end()


def _alternatives(term: Term) -> Iterable[Term]:
    """The conditions of `cat:E,C`; any other one as it is."""
    if term.field != "cat" or term.operator != "=" or "," not in term.value:
        return (term,)
    return (replace(term, value=value) for value in term.value.split(",") if value)


def _text_term(text: str, place: int, *, is_not: bool, ignore_case: bool) -> tuple[Term, int]:
    word = _WORD.match(text, place)
    if word is None:
        raise WrongSelection(f"{text[place : place + 40]!r}: the quotes are not closed")
    _check_end(text, word)
    if word[1] is not None:
        pattern, is_free = _regex(word[1])
        return Term(TEXT, "~", pattern, is_not, ignore_case or is_free), word.end()
    return Term(TEXT, "=", _unquoted(word[2]), is_not, ignore_case), word.end()


def _check_end(text: str, match: re.Match[str]) -> None:
    if match.end() < len(text) and not text[match.end()].isspace():
        raise WrongSelection(f"{match[0]!r}: expected a space after it")


def _regex(text: str) -> tuple[str, bool]:
    is_free = text.endswith("i")
    return text[1 : -2 if is_free else -1].replace("\\/", "/"), is_free


def _unquoted(text: str) -> str:
    return _ESCAPED.sub(r"\1", text[1:-1]) if text.startswith('"') else text


def _end(pattern: re.Pattern[str], text: str, place: int) -> int:
    match = pattern.match(text, place)
    return place if match is None else match.end()


def _format(term: Term) -> str:
    sign = "-" if term.is_not else ""
    if term.operator == "has":
        return f"{sign}has:{_quoted(term.field, _PLAIN_WORD)}"
    if term.operator == "~":
        value = "/" + _slashes(term.value) + ("/i" if term.ignore_case else "/")
    else:
        comparison = "" if term.operator == "=" else term.operator
        plain = _PLAIN_CATEGORY if term.field == "cat" else _PLAIN_WORD
        value = comparison + _quoted(term.value, plain)
    if term.field == TEXT and term.operator in ("=", "~"):
        # A word with a colon would be taken for a field.
        return sign + (value if ":" not in value or value[0] in '"/' else f'"{value}"')
    return f"{sign}{_quoted(term.field, _PLAIN_NAME)}:{value}"


def _slashes(pattern: str) -> str:
    """A regular expression with its slashes escaped, those that are escaped already as they are."""
    return re.sub(
        r"\\.|/", lambda match: "\\/" if match[0] == "/" else match[0], pattern, flags=re.DOTALL
    )


def _quoted(text: str, plain: re.Pattern[str]) -> str:
    if plain.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
