import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logd.text.escaping import (
    BARE_CLASS,
    CONTINUATION,
    NUMBER,
    ItemTexts,
    category_text,
    entry_of,
    escape,
    exact,
    is_safe,
    key_text,
    safe_json,
    split_message,
    split_messages,
    unescape,
    value_text,
)

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))
JOINED_TEXT = st.text(st.sampled_from("\u2764\ufe0f\u200d\U0001f600\U0001f3fb1\u20e3 \n"))
"""What emoji are made of, in any order."""


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("\t", "\\t"),
        ("\n", "\\n"),
        ("\r", "\\r"),
        ("\0", "\\x00"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\x7f", "\\x7f"),
        ("\x85", "\\x85"),
        ("\x9b", "\\x9b"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\u202e\u2066", "\\u202e\\u2066"),
        ("\u200e\u200f\u061c", "\\u200e\\u200f\\u061c"),
        ("a\u200bb\u2060c\ufeff", "a\\u200bb\\u2060c\\ufeff"),
        ("\U000e0001\U000e007f", "\\U000e0001\\U000e007f"),
        ("\U0001f469\u200d\U0001f52c", "\U0001f469\u200d\U0001f52c"),
        (
            "\u2764\ufe0f\u200d\U0001f525 1\ufe0f\u20e3",
            "\u2764\ufe0f\u200d\U0001f525 1\ufe0f\u20e3",
        ),
        ("a\u200db\ufe0f \U0001f600\u200d", "a\\u200db\\ufe0f \U0001f600\\u200d"),
        ("\udc80", "\\udc80"),
        ("C:\\new", "C:\\new"),
        ("C:\\\new\\x1b\x1b", "C:\\\\new\\x1b\\x1b"),
        ("gr\u00fc\u00dfe \u20ac \U0001f600 \u00a0", "gr\u00fc\u00dfe \u20ac \U0001f600 \u00a0"),
    ],
)
def test_unsafe_characters_become_visible(text: str, escaped: str) -> None:
    """Controls, separators, directions and lone surrogates are escaped, nothing else is."""
    assert escape(text) == escaped


@given(ANY_TEXT | JOINED_TEXT)
@example("a\ufe0f\u200d\U0001f600")
@example("\u2764\ufe0f\ufe0f\u200d\u200d\u2764")
def test_escaped_text_is_safe_and_encodable(text: str) -> None:
    """Whatever a text contains, its escaped form has nothing unsafe and is UTF-8."""
    escaped = escape(text)
    assert is_safe(escaped)
    escaped.encode()


@given(ANY_TEXT)
@example("a\r\nb\rc\n\n")
@example(f"a\n{CONTINUATION}b")
def test_message_lines_come_back(message: str) -> None:
    """The lines of a message can be told from its entry, and none of them begins an entry."""
    first, further = split_message(message)
    assert is_safe(first)
    entry = f"{first}\tand so on{further}".split("\n")
    assert all(line.startswith(CONTINUATION) for line in entry[1:])
    lines = [first, *(line.removeprefix(CONTINUATION) for line in entry[1:])]
    assert lines == [escape(line) for line in message.replace("\r\n", "\n").split("\n")]


@given(st.lists(ANY_TEXT, min_size=1))
@example(["a\r", "\nb", ""])
@example(["\\", "n\x1b", "\\x00", "\t"])
@example(["a\0b", "\u20ac\n\x9b"])
def test_messages_are_split_together_as_they_are_alone(messages: list[str]) -> None:
    """What a message becomes does not depend on the others of its batch."""
    assert split_messages(messages) == [split_message(message) for message in messages]


@given(ANY_TEXT)
@example(f"{CONTINUATION}forged")
@example("a\tb\n\nc\x1b")
def test_foreign_text_is_one_entry(text: str) -> None:
    """Text of a user's own format is one entry, whatever it is."""
    first, *further = entry_of(text).split("\n")
    assert not first.startswith(CONTINUATION)
    assert all(line.startswith(CONTINUATION) for line in further)
    assert is_safe("".join([first, *further]).replace("\t", ""))


@pytest.mark.parametrize(
    ("category", "text"),
    [("E", "E"), ("", "-"), ("two words", "two_words"), ("\n", "_"), ("a\x1bb", "a\\x1bb")],
)
def test_category_is_one_word(category: str, text: str) -> None:
    """A category is never empty and has no white space in the line."""
    assert category_text(category) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (-7, "-7"),
        (1.5, "1.5"),
        (1e300, "1e+300"),
        (True, "true"),
        (False, "false"),
        (None, "null"),
        ("ann", "ann"),
        ("a/b.c:1@x%+,-", "a/b.c:1@x%+,-"),
        ("10.0.0.1", "10.0.0.1"),
        ("812", '"812"'),
        ("-1.5e3", '"-1.5e3"'),
        ("true", '"true"'),
        ("null", '"null"'),
        ("nan", '"nan"'),
        ("nancy", "nancy"),
        ("", '""'),
        ("two words", '"two words"'),
        ('say "a=b"', '"say \\"a=b\\""'),
        ("caf\u00e9", '"caf\u00e9"'),
        ("a\nb\x7f\x85\u2028\udc80", '"a\\nb\\u007f\\u0085\\u2028\\udc80"'),
        ([1, "x"], '[1,"x"]'),
        ({"a": ["b c", None]}, '{"a":["b c",null]}'),
    ],
)
def test_values_tell_numbers_from_strings(value: object, text: str) -> None:
    """Numbers are bare, strings that look like one are quoted."""
    assert value_text(value) == text


def test_huge_integers_are_written() -> None:
    """An integer longer than CPython prints in decimal is written in hexadecimal."""
    assert value_text(10**5000) == hex(10**5000)


@given(st.one_of(ANY_TEXT, st.integers(), st.floats(allow_nan=False), st.booleans(), st.none()))
def test_values_come_back(value: object) -> None:
    """A reader gets back each value with its type."""
    text = value_text(value)
    assert is_safe(text)
    if text.startswith('"'):
        assert json.loads(text) == value
    elif text in ("true", "false", "null"):
        assert json.loads(text) is value
    elif re.fullmatch(NUMBER, text):
        read: int | float = int(text) if text.lstrip("-").isdigit() else float(text)
        assert (type(read), read) == (type(value), value)
    else:
        assert re.fullmatch(f"[{BARE_CLASS}]+", text)
        assert text == value


def test_keys_are_bare_or_quoted() -> None:
    """A key that could be mistaken for something else is a JSON string."""
    assert [key_text(key) for key in ("user_id", "http.status", "a b", "a=b", "")] == [
        "user_id",
        "http.status",
        '"a b"',
        '"a=b"',
        '""',
    ]


def test_items_keep_their_order_and_types() -> None:
    """Equal values of different types are written each as its own type, again and again."""
    texts = ItemTexts()
    for _ in range(2):
        assert texts.text({"b": 1, "a": True, "c": 1.0, "d": "1", "e": "x"}) == (
            'b=1 a=true c=1.0 d="1" e=x'
        )


def test_kept_texts_are_bounded() -> None:
    """Neither many nor long values of peers fill the memory."""
    texts = ItemTexts()
    for number in range(10_000):
        texts.text({f"key{number}": f"value{number}", "long": "x" * 1000})
    assert len(texts._keys) <= 4096
    assert len(texts._values) <= 4096
    assert "x" * 1000 not in texts._values


@given(JOINED_TEXT)
def test_dense_joiners_are_escaped_where_sparse_ones_are(text: str) -> None:
    """Which joiners belong to an emoji does not depend on what else is escaped."""
    assert escape(text + " " + "\u200b" * 500) == escape(text) + " " + "\\u200b" * 500


@given(JOINED_TEXT)
def test_json_is_made_safe_without_changing_what_it_says(text: str) -> None:
    """JSON for a terminal has nothing unsafe in it, and is read as before."""
    value = [text, "\u202e\x7f\x9b\u2028\U000e0001"]
    safe = safe_json(json.dumps(value, ensure_ascii=False))
    assert is_safe(safe)
    assert json.loads(safe) == value


@given(
    piece=st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\ufe0f\u200d"), max_size=5
    ),
    times=st.integers(1, 2000),
)
def test_dense_and_sparse_texts_are_escaped_alike(piece: str, times: int) -> None:
    """How many characters are escaped changes how it is done, not what comes of it."""
    assert escape(piece * times) == escape(piece) * times
    plain = piece.replace("\r", "").replace("\\", "")
    lines = split_message(plain * times)
    assert "".join(lines) == "".join(
        "\n  | " if character == "\n" else escape(character) for character in plain * times
    )


@given(st.text() | st.text("\\tnrxuU0a1 \t\n\r\x1b\u202e\udc80\U000e0041é"))
@example("C:\\temp")
@example("\\\t")
def test_exact_escapes_are_undone(text: str) -> None:
    """What is written exactly is read back as it was: a real tab and the two characters differ."""
    assert unescape(exact(text)) == text
    assert is_safe(exact(text))


def test_few_backslashes_are_doubled() -> None:
    """Paths stay readable: a backslash is doubled only where it would begin an escape."""
    assert exact(r"C:\Program Files\doc") == r"C:\Program Files\doc"
    assert exact(r"C:\temp") == r"C:\\temp"
    assert exact("\\\t") == r"\\\t"
