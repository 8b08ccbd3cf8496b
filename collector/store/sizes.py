"""How much the expressions of a statement make of one row, told from its syntax tree alone.

Scalar functions work on 2,048 values at a time, in memory that no limit counts, and cannot be interrupted within
them. So each gets a size: a text column counts as its longest value, a literal as what it is, a function by its kind in
`functions`. What is not known here is refused: a function, a kind of expression, a type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from collector.store import functions, literals
from collector.store.scope import NOTHING, SMALL_BYTES, Node, Scope, Size, arguments, largest, nearest, refused, total
from collector.store.texts import MOST_LOOKED_AT, Texts

MOST_BYTES = 96 * 1024
"""What functions may make of one row: at 2,048 rows a vector and two threads 384 MiB."""
MOST_READ = 256 * 1024
"""What functions may look through of one row: at 2,048 rows 512 MiB, which takes seconds, uninterrupted."""
_ITEMS = 16
_COLLECTED = 16 * 1024
"""What a collected value counts (`collected`)."""
MOST_NEAR, _NEAR = 256, 16 * 1024
"""Bytes of a text that is compared character by character, and what that counts as looking through."""
_PARTS, _KEYS = 9, 4
_SUB = ("substr", "substring")
_MOST_NODES = 4_000
"""Expressions that names of a SELECT's own columns stand for; 16,000 are planned for 4 s, uninterrupted."""

_TRUE_OR_FALSE = {
    "OPERATOR_NOT",
    "OPERATOR_IS_NULL",
    "OPERATOR_IS_NOT_NULL",
    "COMPARE_IN",
    "COMPARE_NOT_IN",
    "GROUPING_FUNCTION",
}
_PICKS = {
    "OPERATOR_COALESCE",
    "OPERATOR_NULLIF",
    "OPERATOR_TRY",
    "ARRAY_EXTRACT",
    "ARRAY_SLICE",
    "STRUCT_EXTRACT",
}
_HOLDS = {"OPERATOR_UNPACK", "ARRAY_CONSTRUCTOR"}


class Expressions:
    """Sizes of one statement's expressions; what is larger than `MOST_BYTES` together is refused.

    *query* tells the size of the values of a query within them, *names* how many bytes the statement's own names have,
    *repeats* whether a value can stand in more rows than it is stored in.
    """

    def __init__(self, query: Callable[[Node, Scope], Size], names: int = 0, repeats: bool = True) -> None:
        self._query = query
        self._names = names
        self._repeats = repeats
        self.texts = Texts()
        self.bytes = self._read = 0
        self.collecting: list[Node] = []
        """Calls that collect values over rows."""

    def size(self, node: Node, scope: Scope) -> Size:
        """Return the size of an expression."""
        return self.texts.sized(node, self._size(node, scope))

    def _size(self, node: Node, scope: Scope) -> Size:
        match node["class"]:
            case "CONSTANT":
                stated = literals.text(node)
                return Size(SMALL_BYTES if stated is None else max(1, len(stated.encode()))).times(scope.times)
            case "COLUMN_REF":
                return self._column(node, scope)
            case "POSITIONAL_REFERENCE":
                return scope.find([])
            case "FUNCTION":
                return self._function(node, scope)
            case "WINDOW":
                return self._window(node, scope)
            case "STAR":
                self._within(node, scope)
                rows = scope.rows or NOTHING
                return total([*rows.columns.values()] + [rows.rest] * max(0, rows.width - len(rows.columns)))
            case "SUBQUERY":
                if node.get("child"):
                    self.size(node["child"], scope)
                return self._query(node["subquery"]["node"], scope)
            case "COMPARISON" | "CONJUNCTION" | "BETWEEN":
                return self._small(self._within(node, scope), scope)
            case "CASE":
                return self._made(largest(self._within(node, scope)))
            case "CAST":
                return self._made(self._cast(node, scope))
            case "TYPE":
                return Size()
            case "COLLATE":
                if not functions.COLLATIONS.issuperset(str(node["collation"]).lower().split(".")):
                    raise refused(f"collation {node['collation'][:60]!r} is not available here")
                return self._made(self.texts.bounded(node["child"], self.size(node["child"], scope)))
            case "LAMBDA":  # JSON's arrow
                sizes = [self.size(node["lhs"], scope), self.size(node["expr"], scope)]
                return self._path([node["lhs"], node["expr"]], _parts([node["lhs"], node["expr"]], sizes))
            case "OPERATOR" if node["type"] in _TRUE_OR_FALSE:
                return self._small(self._within(node, scope), scope)
            case "OPERATOR" if node["type"] in _PICKS:
                return self._made(largest(self._within(node, scope)))
            case "OPERATOR" if node["type"] in _HOLDS:
                whole = total(self._within(node, scope))
                self.texts.bound(list(nearest(list(node.values()))))
                return self._made(Size(whole.bytes + SMALL_BYTES * scope.times, whole.items, whole.nodes))
            case other:
                what = node["type"] if other == "OPERATOR" else other
                raise refused(f"{str(what)[:40].lower().replace('_', ' ')} is not available here")

    def look(self, node: Node, scope: Scope) -> None:
        """Look at an expression, or at those in a node that is none itself, such as an entry of ORDER BY."""
        if "class" in node:
            self.size(node, scope)
        else:
            self._within(node, scope)

    def _within(self, node: Node, scope: Scope, *but: str) -> list[Size]:
        """Return the sizes of the expressions that stand in *node*."""
        sizes: list[Size] = []
        for child in nearest([value for key, value in node.items() if key not in but]):
            sizes += [self.size(child, scope)] if "class" in child else self._within(child, scope)
        return sizes

    def _made(self, size: Size) -> Size:
        """Count what a function makes."""
        self.bytes += size.bytes
        if self.bytes > MOST_BYTES:
            raise refused(
                f"its functions may make more than {MOST_BYTES // 1024} KiB of one row; make less text and fewer "
                "lists, or cut them first, as in left(body, 500)"
            )
        return size

    def _small(self, arguments: list[Size], scope: Scope) -> Size:
        return Size(SMALL_BYTES * scope.times, scope.times, total(arguments).nodes)

    def _column(self, node: Node, scope: Scope) -> Size:
        path = [str(word) for word in node["column_names"]]
        if len(path) == 1 and path[0].lower() in functions.SERVER:
            raise refused(f"{path[0]} is not available here")
        found = scope.find(path)
        if found.large and not scope.has(path):
            self.texts.is_row(node)
        if found.nodes > _MOST_NODES:
            raise refused(f"a column's name stands for more than {_MOST_NODES} expressions; use a subquery")
        return found

    def _function(self, node: Node, scope: Scope) -> Size:
        name = str(node["function_name"]).lower()
        if name not in functions.ALL:
            instead = (
                f"; {functions.INSTEAD[name]}" if name in functions.INSTEAD else "; docs/sql.md lists those that are"
            )
            raise refused(f"function {str(node['function_name'])[:60]!r} is not available here{instead}")
        given = arguments(node)
        if name in functions.MAPS or name in functions.FILTERS:
            return self._lambda(name, given, scope)
        sizes = [self.size(argument, scope) for argument in given]
        self._within(node, scope, "arguments")
        if name in functions.COLLECTS:
            return self._collect(node, sizes)
        if name in functions.NEAR:
            if any(size.bytes > MOST_NEAR * scope.times for size in sizes):
                raise refused(
                    f"{name}() takes texts of at most {MOST_NEAR} bytes; cut them first, as in left(body, 60)"
                )
            self._look_through([], [Size(_NEAR).times(scope.times)])
            return self._small(sizes, scope)
        if name in functions.LOOKS:
            self._look_through(given, sizes)
        if name in functions.TOP and len(given) > 1 + name.startswith("arg_") + name.endswith("_by"):
            n = literals.integer(given[-1])
            if n is None or not 0 < n <= literals.MOST_TOP:
                raise refused(f"{name}() of several values takes a number up to {literals.MOST_TOP}")
            self.texts.bound(given)
            return self._made(replace(total(sizes).times(n), large=False))
        if name in functions.AGGREGATES:
            return largest(sizes)
        is_small = all(size.bytes <= SMALL_BYTES * scope.times for size in sizes)
        if name in functions.SMALL or (name in functions.ARITHMETIC and is_small):
            return self._small(sizes, scope)
        whole = total(sizes)
        if name in functions.PICKS:
            return self._made(largest(sizes))
        cut = literals.integer(given[-1]) if name in ("left", "right") or (name in _SUB and len(given) == 3) else None
        if cut is not None and cut >= 0:
            return self._made(Size(min(whole.bytes, 4 * cut * scope.times + SMALL_BYTES), 1, whole.nodes))
        if name not in functions.PATHS | functions.JSON | functions.ARITHMETIC:
            self.texts.bound(given)
        if name in functions.BY_NAME and (literals.text(given[1]) or "").lower() not in functions.INNER:
            raise refused(f"{name}() takes the name of an aggregate function as a literal")
        if name in functions.LITERAL:
            return self._made(literals.result(name, given, sizes, scope.times))
        if name in functions.JOINS or name in functions.BY_NAME:
            between = largest(sizes).bytes if name in functions.BY_NAME else sizes[functions.JOINS[name]].bytes
            between = between if len(sizes) > functions.JOINS.get(name, 2) else 0
            return self._made(Size(whole.bytes + whole.items * between, 1, whole.nodes))
        if name == "unnest":
            return Size(max(SMALL_BYTES, whole.bytes // whole.items), _ITEMS, whole.nodes)
        if name in functions.PATHS:
            return self._path(given, _parts(given, sizes, always=name == "json_keys"))
        factor = functions.TIMES.get(name, 1)
        items = whole.bytes if factor == functions.SPLITS else whole.items
        entries = 0 if name in functions.TEXTS else SMALL_BYTES * (1 + len(sizes)) * scope.times
        if name in functions.NAMING:
            entries += self._names * whole.items
        large = whole.large and name in functions.JSON
        return self._made(Size(whole.bytes * factor + entries, items, whole.nodes, large))

    def _lambda(self, name: str, given: list[Node], scope: Scope) -> Size:
        """Return the size of a list that a lambda makes or thins out: it is worked out for each element."""
        if len(given) != 2 or given[1]["class"] != "LAMBDA":
            raise refused(f"{name}() takes a list and a lambda")
        whole = self.texts.bounded(given[0], self.size(given[0], scope))
        within = Scope(scope.ctes, None, scope, times=max(whole.items, scope.times))
        parameters = arguments(given[1]["lhs"]) or [given[1]["lhs"]]
        for i, parameter in enumerate(parameters):
            if parameter.get("class") != "COLUMN_REF":
                raise refused(f"{name}() takes a lambda with names, as in lambda x: x + 1")
            # Of all elements together: one alone may be nearly as large.
            within.names[str(parameter["column_names"][-1]).lower()] = (
                Size(whole.bytes, max(whole.items, _ITEMS))
                if i == 0
                else Size(SMALL_BYTES * within.times, within.times)
            )
        made = self.size(given[1]["expr"], within)
        if name in functions.FILTERS:
            return self._made(whole)
        self.texts.bounded(given[1]["expr"], made)
        return self._made(Size(made.bytes + SMALL_BYTES * within.times, max(made.items, within.times), made.nodes))

    def _collect(self, node: Node, sizes: list[Size]) -> Size:
        if not any(known is node for known in self.collecting):
            self.collecting.append(node)
        return Size(max(_COLLECTED, largest(sizes).bytes), _COLLECTED // 32)

    def _window(self, node: Node, scope: Scope) -> Size:
        name = str(node["function_name"]).lower()
        if name in functions.COLLECTS:  # each row would have its own copy, in memory that no limit counts
            raise refused(f"{name}() OVER is not available here; collect with GROUP BY in a subquery, and join that")
        if name not in functions.AGGREGATES | functions.WINDOWS:
            raise refused(f"function {str(node['function_name'])[:60]!r} is not available here")
        if node["exclude_clause"] != "NO_OTHER":
            raise refused("EXCLUDE is not available here")
        ends = node["end"] in ("CURRENT_ROW_RANGE", "UNBOUNDED_FOLLOWING")
        if name in functions.WHOLE and (node["orders"] or node["start"] != "UNBOUNDED_PRECEDING" or not ends):
            raise refused(f"{name}() OVER takes whole partitions: leave out ORDER BY and frame")
        sizes = self._within(node, scope)
        return largest(sizes)

    def _cast(self, node: Node, scope: Scope) -> Size:
        of = self.size(node["child"], scope)
        made = literals.cast(node["type_expr"], of, scope.times)
        copies = self.texts.is_of_row(node["child"]) or not literals.is_text(node["type_expr"])
        if copies and made.bytes > literals.FIELD * scope.times:
            self.texts.bound([node["child"]])
        return Size(made.bytes + self._names * of.items, made.items, made.nodes, of.large and not copies)

    def _path(self, given: list[Node], made: Size) -> Size:
        """Return the size of parts of JSON; one alone lies in memory that DuckDB's limit counts."""
        if made.items == 1:
            return made
        self.texts.bound(given)
        return self._made(replace(made, large=False))

    def _look_through(self, given: list[Node], sizes: list[Size]) -> None:
        self._read += sum(MOST_LOOKED_AT if size.large else size.bytes for size in sizes)
        if self._read > MOST_READ:
            raise refused(
                f"its functions may look through more than {MOST_READ // 1024} KiB of one row; join patterns to one, "
                "as in regexp_matches(body, 'a|b'), or cut texts first, as in left(body, 500)"
            )
        if self._repeats:
            self.texts.bound(given, MOST_LOOKED_AT)


def _parts(given: list[Node], sizes: list[Size], always: bool = False) -> Size:
    """Return the size of parts of JSON: as large as it, or a list's entry for each two bytes, for each path."""
    whole = total(sizes)
    one = all(literals.integer(path) is not None or "*" not in (literals.text(path) or "*") for path in given[1:])
    if one and not always:
        return Size(whole.bytes, 1, whole.nodes, whole.large)
    paths = max([size.items for size in sizes[1:]], default=1)
    return Size(whole.bytes * (_KEYS if always else _PARTS) * paths, whole.bytes * paths, whole.nodes)
