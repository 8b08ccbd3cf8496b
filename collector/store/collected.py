"""What an aggregate collects over rows, such as `string_agg`: each value looked at before anything is made of it.

A statement's tree cannot tell how much a group holds. So the call stands in an expression that fails where its value
is too large; the tree, in DuckDB's own form, is what is run then (`json_deserialize_sql`).
"""

from __future__ import annotations

from typing import Any

from collector.store import parser

Node = dict[str, Any]

MOST_BYTES = 64 * 1024
"""How large one collected value may get: 128 MiB for the 2,048 of a vector."""


def guard(tree: Any, calls: list[Node]) -> None:
    """Put each of *calls*, in *tree*, into an expression that fails where its value is larger than `MOST_BYTES`."""
    known = {id(call) for call in calls}
    _keep_names(tree, known)
    stack: list[Any] = [tree]
    while stack:
        item = stack.pop()
        for key, value in item.items() if isinstance(item, dict) else enumerate(item):
            if id(value) in known:
                stack.append(value)
                item[key] = _guarded(value)
            elif isinstance(value, (dict, list)):
                stack.append(value)


def _keep_names(item: Any, known: set[int]) -> None:
    """Name the columns that the expressions will be in what they would have been named without."""
    if isinstance(item, dict):
        for column in item.get("select_list") or ():
            if not column.get("alias") and column["class"] != "STAR" and _holds(column, known):
                node = {**item, "select_list": [column], "from_table": {"type": "EMPTY"}, "cte_map": {"map": []}}
                node |= {"modifiers": [], "group_expressions": [], "group_sets": []}
                node |= dict.fromkeys(("where_clause", "having", "qualify", "sample"))
                alone = parser.text({"error": False, "statements": [{"node": node, "named_param_map": []}]})
                column["alias"] = alone.removeprefix("SELECT ")
    for value in item.values() if isinstance(item, dict) else item if isinstance(item, list) else ():
        _keep_names(value, known)


def _holds(item: Any, known: set[int]) -> bool:
    inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return id(item) in known or any(_holds(value, known) for value in inner)


def _guarded(call: Node) -> Node:
    """Return the expression; an aggregate that is written more than once in it is worked out once.

    Its inner *call* stays the same object, so that calls within it are guarded too.
    """
    alias, call["alias"] = call.get("alias", ""), ""
    text = {
        "class": "CAST", "type": "OPERATOR_CAST", "alias": "", "child": call, "try_cast": False,
        "type_expr": {"class": "TYPE", "type": "TYPE", "alias": "", "type_name": "VARCHAR", "children": []},
    }  # fmt: skip
    told = (
        f"{call['function_name']}() collects more than {MOST_BYTES // 1024} KiB in one value; "
        "group by more, or select the rows"
    )
    then = _function("error", _constant("STRING", told))
    checks = [
        {"when_expr": _larger(_function(name, of)), "then_expr": then} for name, of in (("len", call), ("strlen", text))
    ]
    return {"class": "CASE", "type": "CASE_EXPR", "alias": alias, "case_checks": checks, "else_expr": call}


def _constant(kind: str, text: str) -> Node:
    return {"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", "literal": {"kind": kind, "text": text}}


def _larger(size: Node) -> Node:
    most = _constant("INTEGER", str(MOST_BYTES))
    return {"class": "COMPARISON", "type": "COMPARE_GREATERTHAN", "alias": "", "left": size, "right": most}


def _function(name: str, argument: Node) -> Node:
    return {
        "class": "FUNCTION", "type": "FUNCTION", "alias": "", "function_name": name, "schema": "", "catalog": "",
        "filter": None, "order_bys": {"type": "ORDER_MODIFIER", "orders": []}, "distinct": False,
        "is_operator": False, "export_state": False, "qualified_name": {"path": [name]},
        "arguments": [{"name": "", "expression": argument}],
    }  # fmt: skip
