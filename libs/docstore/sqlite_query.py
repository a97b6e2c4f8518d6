"""Index queries as SQL that can only run on the declared index.

`INDEXED BY` makes SQLite refuse a statement that the index cannot serve, so a scan fails a test instead of slowing a
service. Bounds stay within their own type, as MongoDB's do: a lower bound of 5 does not let strings in.
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.docstore.sqlite_schema import column_name, index_name, table_name
from libs.docstore.store import Collection, Index, IndexValue, Query
from libs.docstore.values import check_query, column, index_named, index_value

_LOWEST: dict[type, str] = {str: "''", bytes: "x''"}
_ABOVE: dict[type, str] = {int: "''", str: "x''"}


@dataclass(frozen=True)
class Statement:
    """SQL and its parameters."""

    sql: str
    values: tuple[IndexValue | None, ...]


def find_statement(query: Query) -> Statement:
    """Return the statement whose rows are (key, version, body) of `query`, in its order."""
    index = check_query(query)
    terms, values = _range_terms(index, query)
    if query.after is not None:
        sign = "<" if query.descending else ">"
        last, key = query.after
        if len(query.equal) == len(index.fields):
            terms.append(f"key {sign} ?")
            values.append(key)
        else:
            terms.append(f"({column_name(index.fields[-1])}, key) {sign} (?, ?)")
            values += [column(last), key]
    order = _order(index, query)
    sql = (
        f"SELECT key, version, body FROM {table_name(query.collection)}"  # noqa: S608 - names are checked at open
        f' INDEXED BY "{index_name(query.collection, index)}" WHERE {" AND ".join(terms)} ORDER BY {order} LIMIT ?'
    )
    return Statement(sql, (*values, query.limit))


def delete_statements(collection: Collection, query: Query) -> tuple[Statement, Statement]:
    """Return two statements with the same choice: forget the pending events of the documents, delete the documents."""
    index = check_query(query)
    terms, values = _range_terms(index, query)
    chosen = (
        f'FROM {table_name(collection)} INDEXED BY "{index_name(collection, index)}" WHERE {" AND ".join(terms)}'
        f" ORDER BY {_order(index, query)} LIMIT ?"
    )
    limited = (*values, query.limit)
    events = f"DELETE FROM pending WHERE collection = ? AND key IN (SELECT key {chosen})"  # noqa: S608
    documents = f"DELETE FROM {table_name(collection)} WHERE rowid IN (SELECT rowid {chosen})"  # noqa: S608
    return Statement(events, (collection.name, *limited)), Statement(documents, limited)


def among_index(collection: Collection, name: str) -> str:
    """Return what follows the table's name to look only at documents in the index `name`, without reading them."""
    index = index_named(collection, name)
    present = " AND ".join(f"{column_name(field)} IS NOT NULL" for field in index.fields)
    return f' INDEXED BY "{index_name(collection, index)}" WHERE {present}'


def _order(index: Index, query: Query) -> str:
    names = [] if len(query.equal) == len(index.fields) else [column_name(index.fields[-1])]
    if not (names and index.unique):  # in a unique index no two documents share the last field
        names.append("key")
    return ", ".join(f"{name} {'DESC' if query.descending else 'ASC'}" for name in names)


def _range_terms(index: Index, query: Query) -> tuple[list[str], list[IndexValue | None]]:
    terms = [f"{column_name(field)} = ?" for field in index.fields[: len(query.equal)]]
    values: list[IndexValue | None] = [column(value) for value in query.equal]
    if len(query.equal) == len(index.fields):
        return terms, values
    name = column_name(index.fields[-1])
    terms.append(f"{name} IS NOT NULL")
    for sign, bound in ((">=", query.lower), ("<=", query.upper)):
        if index_value(bound) is not None:
            terms.append(f"{name} {sign} ?")
            values.append(column(bound))
    kinds = {type(bound) for bound in (query.lower, query.upper) if bound is not None}
    for kind in kinds:
        if query.lower is None and kind in _LOWEST:
            terms.append(f"{name} >= {_LOWEST[kind]}")
        if query.upper is None and kind in _ABOVE:
            terms.append(f"{name} < {_ABOVE[kind]}")
    return terms, values
