"""Indexes of the texts in messages: by all triples of characters, so that parts of words are found.

SQLite has a virtual table beside each log table, `log_1_text` beside `log_1`: it holds for each
triple the ids of the rows that have it, and none of the text. The output fills it, a batch at a
time; a trigger would take six times as long. PostgreSQL has an index of its extension `pg_trgm`.
MariaDB and MySQL find whole words only, which is another question than the one `logd query` asks.
"""

from __future__ import annotations

MIN_CHARS = 3
"""Shorter texts are in no index."""

MAX_TRIPLES = 8
"""About as many triples of a text are asked for: each costs time, and few are rare enough."""

EXTENSION = "pg_trgm"
"""PostgreSQL's, of its package contrib."""


def text_index_name(table: str) -> str:
    """What the index of a table is called."""
    return f"{table}_text"


def sqlite_definition(index: str) -> str:
    """The statement that makes the index of an empty table of SQLite's.

    Args:
        index: its name, quoted.
    """
    # Upper and lower case as one, so that it serves both ways of asking. Which rows have three
    # characters is enough: how they follow each other is looked at in the rows themselves.
    options = "content='', columnsize=0, detail=none, tokenize='trigram'"
    return f"CREATE VIRTUAL TABLE {index} USING fts5(msg, {options})"


def sqlite_match(text: str) -> str:
    """The question for rows that may have a text of `MIN_CHARS` printable characters or more."""
    last = len(text) - MIN_CHARS
    places = {*range(0, last, max(MIN_CHARS, last // MAX_TRIPLES)), last}
    triples = dict.fromkeys(text[place : place + MIN_CHARS] for place in sorted(places))
    return " AND ".join('"' + triple.replace('"', '""') + '"' for triple in triples)


def like_pattern(text: str) -> str:
    """The pattern of LIKE for whatever has a text in it."""
    for char in "\\%_":
        text = text.replace(char, f"\\{char}")
    return f"%{text}%"
