"""How far a statement goes, told from its syntax tree before it is planned: what it reads, joins and nests.

What DuckDB does while it plans cannot be interrupted, and grows faster than the statement. So everything is looked at,
and what is not known here is refused: a kind of query, of table, of expression (`sizes`), a function.
"""

from __future__ import annotations

from typing import Any

from collector.store import functions
from collector.store.scope import NOTHING, STORED, Node, Relation, Scope, Size, arguments, largest, nearest, refused
from collector.store.sizes import Expressions

MOST_CTES = 16
MOST_TABLES = 32
MOST_COLUMNS = 2_000
MOST_ANDS = 200
"""DuckDB combines each condition with each other: 800 take 1.8 s, 5,000 take 46 s and 11 GB, uninterrupted."""
MOST_DEPTH = 60
"""Expressions and subqueries in each other; 900 additions are planned for 3 s and more."""
MOST_NAMES = 8 * 1024
"""Bytes: structs, JSON and answers repeat them in every value."""
MOST_SETS = 64
MOST_PIVOTED = 1_000
"""Columns; 90,000 are planned for 8 s, uninterrupted."""
_ANY = Size(16 * 1024, 64)
"""What values of a recursive WITH are taken to be where they grow at first: they must not grow beyond it."""
_ROUNDS = 4
_REPEATING = {"join", "table_function", "recursive_cte_node", "subquery", "window", "unnest", "regexp_split_to_table"}


def require(tree: Any, tables: dict[str, Relation]) -> Expressions:
    """Raise BadInput unless a statement's tree stays within bounds; return what `collected` has to guard in it."""
    repeats = _repeats(tree)
    walk = Queries(tables, _require_shape(tree), repeats)
    for statement in tree["statements"]:
        if statement.get("named_param_map"):
            raise refused("parameters have no values here; write them out")
        made = walk.query(statement["node"], {}, None)
        walk.expressions.texts.answered |= made.largest().large and repeats
    return walk.expressions


def _require_shape(tree: Any) -> int:
    """Return how many bytes of names a tree has.

    Refuse what is too deep or has too many conditions, before anything looks at it by recursion.
    """
    ands = ctes = names = 0
    stack: list[tuple[Any, int]] = [(tree, 0)]
    while stack:
        item, depth = stack.pop()
        if isinstance(item, list):
            stack.extend((value, depth) for value in item)
            continue
        if not isinstance(item, dict):
            continue
        depth += "class" in item or "from_table" in item
        if depth > MOST_DEPTH:
            raise refused(f"nested too deeply; at most {MOST_DEPTH} expressions and subqueries in each other")
        if item.get("type") == "CONJUNCTION_AND":
            ands += len(item.get("children", ())) - 1
        elif "key_targets" in item and "query_node" in item:
            ctes += 1
        given = [item.get("alias"), item.get("name"), *(item.get("column_name_alias") or item.get("aliases") or ())]
        names += sum(len(name.encode()) for name in given if isinstance(name, str))
        stack.extend((value, depth) for value in item.values())
    if names > MOST_NAMES:
        raise refused(f"its own names have more than {MOST_NAMES // 1024} KiB; name columns shorter")
    if ands > MOST_ANDS:
        raise refused(f"{ands} conditions joined by AND; at most {MOST_ANDS}, an IN list counts as one")
    if ctes > MOST_CTES:
        raise refused(f"{ctes} WITH tables; at most {MOST_CTES}")
    return names


def _repeats(tree: Any) -> bool:
    """Tell whether a value of a table can stand in more rows than one: in a join, beside a list's elements, …"""
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if _REPEATING & {str(item.get(key)).lower() for key in ("type", "class", "function_name")}:
                return True
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return False


class Queries:
    """One look at the queries of one statement."""

    def __init__(self, tables: dict[str, Relation], names: int = 0, repeats: bool = True) -> None:
        self._tables = tables
        self._inner = 0
        """Tables read by subqueries in the expressions of the query that is being looked at."""
        self.expressions = Expressions(self._subquery, names, repeats)

    def query(self, node: Node, ctes: dict[str, Relation], around: Scope | None) -> Relation:
        """Return what a query returns."""
        ctes = dict(ctes)
        for entry in (node.get("cte_map") or {}).get("map", ()):
            ctes[str(entry["key"]).lower()] = self._cte(entry["value"], ctes, around)
        before, self._inner = self._inner, 0
        match node["type"]:
            case "SELECT_NODE":
                made = self._select(node, ctes, around)
            case "SET_OPERATION_NODE":
                made = _united([self.query(part, ctes, around) for part in node["children"]])
                self._modifiers(node, _scope(ctes, made, around))
            case "RECURSIVE_CTE_NODE":
                made = self._recursive(node, ctes, around)
            case other:
                raise refused(f"{str(other)[:40].lower().replace('_', ' ')} is not available here")
        made = Relation(made.columns, made.rest, made.width, made.tables + self._inner)
        self._inner = before
        if made.tables > MOST_TABLES:
            raise refused(
                f"reads {made.tables} tables, each counted as often as it is named, also through WITH; "
                f"at most {MOST_TABLES}"
            )
        if made.width > MOST_COLUMNS:
            raise refused(f"{made.width} columns; at most {MOST_COLUMNS}")
        return made

    def _subquery(self, node: Node, scope: Scope) -> Size:
        made = self.query(node, scope.ctes, scope)
        self._inner += made.tables
        size = made.largest()
        return Size(size.bytes, size.items, large=size.large)

    def _cte(self, entry: Node, ctes: dict[str, Relation], around: Scope | None) -> Relation:
        if entry.get("materialized") == "CTE_MATERIALIZE_NEVER":
            raise refused("NOT MATERIALIZED is not available here; leave it out")
        for node in nearest([entry.get("key_targets"), entry.get("payload_aggregates")]):
            self.expressions.look(node, _scope(ctes, Relation(), around))
        return self.query(entry["query_node"], ctes, around).named(entry.get("aliases") or ())

    def _recursive(self, node: Node, ctes: dict[str, Relation], around: Scope | None) -> Relation:
        """Return what a recursive WITH returns: rows of values that one more round makes no larger."""
        name, aliases = str(node["cte_name"]).lower(), node.get("aliases") or ()
        first = self.query(node["left"], ctes, around).named(aliases)

        def again(rows: Relation) -> Relation:
            return self.query(node["right"], {**ctes, name: rows}, around).named(aliases)

        taken = _united([first, again(first)])
        counted = self.expressions.bytes
        for _ in range(_ROUNDS):
            self.expressions.bytes = counted  # of one round, whichever
            taken = Relation(taken.columns, taken.rest, first.width, first.tables)
            made = again(taken)
            after = list(made.columns.values())
            grown = {
                name
                for i, (name, size) in enumerate(taken.columns.items())
                if (after[i] if i < len(after) else made.rest).bytes > size.bytes
            }
            if not grown and made.rest.bytes <= taken.rest.bytes:
                return Relation(taken.columns, taken.rest, first.width, made.tables + first.tables)
            columns = {name: _ANY if name in grown else size for name, size in taken.columns.items()}
            if columns == taken.columns and taken.rest == _ANY:
                break
            taken = Relation(columns, taken.rest if made.rest.bytes <= taken.rest.bytes else _ANY)
        raise refused("a recursive WITH makes ever larger values; cut them, as in left(path || '/' || name, 1000)")

    def _select(self, node: Node, ctes: dict[str, Relation], around: Scope | None) -> Relation:
        rows = self._from(node["from_table"], ctes, around)
        scope = _scope(ctes, rows, around)
        columns: dict[str, Size] = {}
        width, rest = 0, Size()
        for i, item in enumerate(node["select_list"]):
            stars = _stars(item)
            size = self.expressions.size(item, scope)
            width += max(1, rows.width) ** stars
            if stars:
                rest = largest([rest, rows.rest, Size(size.bytes, large=size.large)])
                columns = {**rows.columns, **columns}
                continue
            alias, named = str(item.get("alias") or "").lower(), Size(size.bytes, size.items, large=size.large)
            columns[alias or str((item.get("column_names") or [f"#{i}"])[-1]).lower()] = named
            if alias:
                scope.names[alias] = largest([size, scope.names[alias]]) if alias in scope.names else size
        for part in ("where_clause", "having", "qualify", "group_expressions"):
            self._look([node.get(part)], scope)
        if len(node.get("group_sets") or ()) > MOST_SETS:
            raise refused(f"{len(node['group_sets'])} grouping sets; at most {MOST_SETS}")
        self._modifiers(node, scope)
        return Relation(columns, rest, width, rows.tables)

    def _modifiers(self, node: Node, scope: Scope) -> None:
        self._look([node.get("modifiers")], scope)

    def _look(self, items: list[Any], scope: Scope) -> None:
        for node in nearest(items):
            self.expressions.look(node, scope)

    def _from(self, node: Node, ctes: dict[str, Relation], around: Scope | None) -> Relation:
        match node["type"]:
            case "EMPTY":
                return NOTHING
            case "BASE_TABLE":
                made = self._table(node, ctes)
            case "SUBQUERY":
                made = self.query(node["subquery"]["node"], ctes, around)
            case "JOIN":
                left = self._from(node["left"], ctes, around)
                right = self._from(node["right"], ctes, _scope(ctes, left, around))
                made = left.joined(right)
                others = {k: v for k, v in node.items() if k not in ("left", "right")}
                self._look(list(others.values()), _scope(ctes, made, around))
            case "TABLE_FUNCTION":
                made = self._table_function(node, ctes, around)
            case "EXPRESSION_LIST":
                scope = _scope(ctes, NOTHING, around)
                lines = [[self.expressions.size(value, scope) for value in line] for line in node["values"]]
                columns = {f"col{i}": largest(column) for i, column in enumerate(zip(*lines, strict=False))}
                made = Relation(columns, Size(), len(columns), 1)
            case "PIVOT":
                made = self._pivot(node, ctes, around)
            case "SHOW_REF":
                raise refused("DESCRIBE and SHOW are not available here; `runwell schema` tells the columns")
            case other:
                raise refused(f"{str(other)[:40].lower().replace('_', ' ')} is not available here")
        return made.named(node.get("column_name_alias") or ())

    def _table(self, node: Node, ctes: dict[str, Relation]) -> Relation:
        name = str(node.get("table_name", ""))
        found = ctes.get(name.lower()) or self._tables.get(name.lower())
        if node.get("at_clause"):
            raise refused("AT is not available here")
        if node.get("schema_name") or node.get("catalog_name") or found is None:
            raise refused(f"no table {name[:60]!r}; there are {', '.join(self._tables)}")
        return found

    def _table_function(self, node: Node, ctes: dict[str, Relation], around: Scope | None) -> Relation:
        call = node["function"]
        name = str(call.get("function_name", ""))
        if call.get("class") != "FUNCTION" or name.lower() not in functions.TABLES:
            raise refused(f"function {name[:60]!r} is not available here")
        scope = _scope(ctes, NOTHING, around)
        sizes = [self.expressions.size(argument, scope) for argument in arguments(call)]
        return Relation({}, largest([*sizes, STORED]), 10, 1)

    def _pivot(self, node: Node, ctes: dict[str, Relation], around: Scope | None) -> Relation:
        made = self._from(node["source"], ctes, around)
        collecting = len(self.expressions.collecting)
        columns = len(node.get("aggregates") or ()) or 1
        for pivot in node.get("pivots") or ():
            columns *= len(pivot.get("entries") or ()) or 1
            if pivot.get("subquery"):
                raise refused("PIVOT takes its values written out")
        if columns > MOST_PIVOTED:
            raise refused(f"PIVOT to {columns} columns; at most {MOST_PIVOTED}")
        scope = _scope(ctes, made, around)
        sizes = [self.expressions.size(value, scope) for value in node.get("aggregates") or ()]
        self._look([v for k, v in node.items() if k not in ("source", "aggregates")], scope)
        if len(self.expressions.collecting) > collecting:
            raise refused("PIVOT cannot collect values; aggregate them to one")
        return Relation(made.columns, largest(sizes), made.width + columns, made.tables)


def _scope(ctes: dict[str, Relation], rows: Relation, around: Scope | None) -> Scope:
    return Scope(ctes, rows, around, times=around.times if around else 1)


def _united(parts: list[Relation]) -> Relation:
    """Return what rows have that come from any of *parts*, by place, under the names of the first."""
    by_place = [list(part.columns.values()) for part in parts]
    rest = largest([part.largest() for part in parts])
    columns = {
        name: largest([sizes[i] if i < len(sizes) else rest for sizes in by_place])
        for i, name in enumerate(parts[0].columns)
    }
    return Relation(columns, rest, parts[0].width, sum(part.tables for part in parts))


def _stars(item: Node) -> bool:
    """Tell whether an expression stands for one of each column."""
    return item.get("class") == "STAR" or (
        item.get("class") != "SUBQUERY" and any(_stars(child) for child in nearest(list(item.values())))
    )
