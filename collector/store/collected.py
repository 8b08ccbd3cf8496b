"""What a statement's tree cannot tell the size of is looked at while it runs, before anything is made of it.

That is what an aggregate collects over rows, such as `string_agg`, and what a column holds that has large texts
(`texts`). Each row of such a call is counted by a filter, which ends the statement where all of it is too much
(`Tally`); the call, or the text, stands in an expression that fails where its value is too large. The tree, in
DuckDB's own form, is what is run then (`json_deserialize_sql`).
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from typing import Any, NoReturn

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from duckdb.func import ARROW, SPECIAL

from collector.store import parser
from collector.store.watchdog import Asked

Node = dict[str, Any]

MOST_BYTES = 64 * 1024
"""How large one collected value may get: 128 MiB for the 2,048 of a vector."""
MOST_TOGETHER = 32 * 2**20
"""How much a statement may collect in all its groups: DuckDB counts what they keep, and not the values made of it."""
_COUNT = "runwell_counted"
_MACROS = frozenset({"json_group_array", "json_group_object"})
"""They take no filter."""


class Tally:
    """Counts what each statement that is being asked collects."""

    def __init__(self) -> None:
        self._asked: dict[int, tuple[Asked, int]] = {}
        self._numbers = count(1)
        self._lock = threading.Lock()

    def serve(self, con: duckdb.DuckDBPyConnection) -> None:
        """Let statements of *con* count."""
        con.create_function(
            _COUNT,
            self._counted,
            ["BIGINT", "BIGINT"],
            "BOOLEAN",
            type=ARROW,
            null_handling=SPECIAL,
            side_effects=True,
        )

    @contextmanager
    def counting(self, asked: Asked) -> Generator[int]:
        """Give the number by which *asked* is counted while the block runs."""
        number = next(self._numbers)
        self._asked[number] = asked, 0
        try:
            yield number
        finally:
            del self._asked[number]

    def end(self, number: int, why: str) -> NoReturn:
        """End the statement that is counted by *number*."""
        asked, _ = self._asked[number]
        asked.end(why)
        raise ValueError(asked.ended)

    def _counted(self, numbers: pa.ChunkedArray, sizes: pa.ChunkedArray) -> pa.Array:
        """Count *sizes*, and end the statement that `numbers` names when it is too much."""
        number = numbers[0].as_py()
        with self._lock:
            asked, held = self._asked[number]
            held += (pc.sum(sizes).as_py() or 0) + len(sizes)
            self._asked[number] = asked, held
        if held > MOST_TOGETHER:
            self.end(
                numbers[0].as_py(),
                f"it collects more than {MOST_TOGETHER // 2**20} MiB over rows; narrow it, or make the rows distinct "
                "first, in a subquery.",
            )
        return pa.repeat(pa.scalar(True), len(sizes))


def guard(tree: Any, calls: list[Node], texts: dict[int, tuple[Node, int]], number: int) -> None:
    """Put what is looked at, in *tree*, into an expression that fails where its value is too large.

    *calls* collect, at most `MOST_BYTES`, and have their rows counted for the statement of this *number*; *texts* say
    how many bytes each may have.
    """
    known = {id(call) for call in calls} | texts.keys()
    _keep_names(tree, known)
    stack: list[Any] = [tree]
    seen: set[int] = set()
    while stack:
        item = stack.pop()
        if id(item) in seen:  # what is counted stands in a call twice
            continue
        seen.add(id(item))
        for key, value in item.items() if isinstance(item, dict) else enumerate(item):
            if id(value) in known:
                stack.append(value)
                item[key] = _cut(value, texts[id(value)][1]) if id(value) in texts else _guarded(value, number)
            elif isinstance(value, (dict, list)):
                stack.append(value)


def _keep_names(item: Any, known: set[int]) -> None:
    """Name the columns that the expressions will be in what they would have been named without."""
    if isinstance(item, dict):
        for column in item.get("select_list") or ():
            if not column.get("alias") and column["class"] != "STAR" and _holds(column, known):
                node = {**item, "select_list": [column], "from_table": {"type": "EMPTY"}, "cte_map": {"map": []}}
                node |= {
                    "aggregate_handling": "STANDARD_HANDLING",
                    "modifiers": [],
                    "group_expressions": [],
                    "group_sets": [],
                }
                node |= dict.fromkeys(("where_clause", "having", "qualify", "sample"))
                alone = parser.text({"error": False, "statements": [{"node": node, "named_param_map": []}]})
                column["alias"] = alone.removeprefix("SELECT ")
    for value in item.values() if isinstance(item, dict) else item if isinstance(item, list) else ():
        _keep_names(value, known)


def _holds(item: Any, known: set[int]) -> bool:
    inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return id(item) in known or any(_holds(value, known) for value in inner)


def _cut(text: Node, most: int) -> Node:
    """Return a text that fails beyond *most* bytes."""
    told = (
        f"a text has more than {most // 1024} KiB; cut it first, as in left(body, 500), or leave such rows out with "
        f"CASE WHEN strlen(body) < {most} THEN body END"
    )
    alias, text["alias"] = text.get("alias", ""), ""
    checks = [{"when_expr": _larger(_function("strlen", text), most), "then_expr": _error(told)}]
    return {"class": "CASE", "type": "CASE_EXPR", "alias": alias, "case_checks": checks, "else_expr": text}


def _error(told: str) -> Node:
    return _function("error", _constant("STRING", told))


def _guarded(call: Node, number: int) -> Node:
    """Return the expression; an aggregate that is written more than once in it is worked out once.

    Its inner *call* stays the same object, so that calls within it are guarded too.
    """
    alias, call["alias"] = call.get("alias", ""), ""
    if call["function_name"].lower() in _MACROS:
        first = call["arguments"][0]
        first["expression"] = _case(_counting(call, number), first["expression"], _constant("NULL_LITERAL", ""))
    else:
        name = "filter_expr" if call["class"] == "WINDOW" else "filter"
        counting = _counting(call, number)
        call[name] = _case(call[name], counting, _constant("BOOLEAN", "false")) if call[name] else counting
    told = (
        f"{call['function_name']}() collects more than {MOST_BYTES // 1024} KiB in one value; "
        "group by more, or select the rows"
    )
    checks = [
        {"when_expr": _larger(_function(name, of), MOST_BYTES), "then_expr": _error(told)}
        for name, of in (("len", call), ("strlen", _text(call)))
    ]
    return {"class": "CASE", "type": "CASE_EXPR", "alias": alias, "case_checks": checks, "else_expr": call}


def _counting(call: Node, number: int) -> Node:
    """Return an expression that is always true, and counts what a row adds to *call*."""
    orders = call["arg_orders"] if call["class"] == "WINDOW" else call["order_bys"]["orders"]
    kept = [a["expression"] for a in call["arguments"]] + [o["expression"] for o in orders]
    nothing = _constant("INTEGER", "0")
    size = nothing
    for one in kept:
        if one["class"] != "CONSTANT":
            size = _function("add", size, _function("greatest", _function("strlen", _text(one)), nothing))
    return _function(_COUNT, _constant("INTEGER", str(number)), size)


def _case(when: Node, then: Node, otherwise: Node) -> Node:
    check = {"when_expr": when, "then_expr": then}
    return {"class": "CASE", "type": "CASE_EXPR", "alias": "", "case_checks": [check], "else_expr": otherwise}


def _text(of: Node) -> Node:
    return {
        "class": "CAST", "type": "OPERATOR_CAST", "alias": "", "child": of, "try_cast": False,
        "type_expr": {"class": "TYPE", "type": "TYPE", "alias": "", "type_name": "VARCHAR", "children": []},
    }  # fmt: skip


def _constant(kind: str, text: str) -> Node:
    return {"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", "literal": {"kind": kind, "text": text}}


def _larger(size: Node, most: int) -> Node:
    than = _constant("INTEGER", str(most))
    return {"class": "COMPARISON", "type": "COMPARE_GREATERTHAN", "alias": "", "left": size, "right": than}


def _function(name: str, *arguments: Node) -> Node:
    return {
        "class": "FUNCTION", "type": "FUNCTION", "alias": "", "function_name": name, "schema": "", "catalog": "",
        "filter": None, "order_bys": {"type": "ORDER_MODIFIER", "orders": []}, "distinct": False,
        "is_operator": False, "export_state": False, "qualified_name": {"path": [name]},
        "arguments": [{"name": "", "expression": argument} for argument in arguments],
    }  # fmt: skip
