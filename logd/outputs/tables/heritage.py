"""What people gave to a PostgreSQL table, as statements that give the same to another one.

A rotation that begins a table under a new name would hide it from the readers of the one before.
Rights of the table and of its columns, comments and further indexes go on; a view can't.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

from logd.outputs.tables.backend import quoted
from logd.outputs.tables.textindex import text_index_name

_RIGHTS = text("""
    SELECT privilege_type AS right, is_grantable, NULL AS column_name,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS role
    FROM pg_class, aclexplode(relacl)
    WHERE pg_class.oid = to_regclass(:model) AND grantee <> relowner
    UNION ALL
    SELECT privilege_type, is_grantable, quote_ident(attname),
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
    FROM pg_attribute, aclexplode(attacl)
    WHERE attrelid = to_regclass(:model) AND NOT attisdropped
""")
_COMMENTS = text("""
    SELECT NULL AS column_name,
        quote_literal(obj_description(to_regclass(:model), 'pg_class')) AS words
    UNION ALL
    SELECT quote_ident(attname), quote_literal(col_description(attrelid, attnum))
    FROM pg_attribute
    WHERE attrelid = to_regclass(:model) AND attnum > 0 AND NOT attisdropped
""")
_INDEXES = text("""
    SELECT indisunique AS is_unique, pg_get_indexdef(indexrelid) AS definition
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = to_regclass(:name) AND indisvalid AND relname <> :texts
""")


def statements(connection: Connection, model: str, name: str, kind: str = "TABLE") -> Iterator[str]:
    """What gives to table `name` what table `model` has; read in the connection's transaction.

    Args:
        connection: in a transaction.
        model: the table that has it.
        name: the table to get it.
        kind: "VIEW" if they are views.
    """
    model, name = quoted(connection, model), quoted(connection, name)
    for row in connection.execute(_RIGHTS, {"model": model}).all():
        columns = f" ({row.column_name})" if row.column_name else ""
        option = " WITH GRANT OPTION" if row.is_grantable else ""
        yield f"GRANT {row.right}{columns} ON {name} TO {row.role}{option}"
    for row in connection.execute(_COMMENTS, {"model": model}).all():
        if row.words is not None:
            what = f"COLUMN {name}.{row.column_name}" if row.column_name else f"{kind} {name}"
            yield f"COMMENT ON {what} IS {row.words}"
    there = _indexes(connection, name)
    for method, is_unique in _indexes(connection, model) - there:
        yield f"CREATE {'UNIQUE ' if is_unique else ''}INDEX ON {name} USING {method}"


def _indexes(connection: Connection, name: str) -> set[tuple[str, bool]]:
    """A table's indexes without their names: what stands behind USING, and whether unique."""
    # Whether that of the texts is wanted is what the settings say.
    texts = text_index_name(name.strip('"'))
    rows = connection.execute(_INDEXES, {"name": name, "texts": texts}).all()
    return {(row.definition.partition(" USING ")[2], row.is_unique) for row in rows}
