"""Texts that may be larger than they count: bodies and attributes of a megabyte, which a join can repeat 2,048 times.

Everybody may read, compare and count them, and take parts of their JSON. Where a function makes something of one, or
looks through it, `collected` ends the statement at the first that is too large; so the sizes that are told stay true.
"""

from __future__ import annotations

from dataclasses import replace

from collector.store import functions
from collector.store.scope import Node, Size, arguments, refused

MOST_TEXT = 12 * 1024
"""What a text column counts at most, and how large its values may be where something is made of them."""
MOST_LOOKED_AT = 32 * 1024
"""…and where a statement that can repeat values looks through them."""
_CUT = f"a text may have more than {MOST_TEXT // 1024} KiB; cut it first, as in left(body, 500)"


class Texts:
    """What is large in one statement; *guarded* are expressions that must have no more than so many bytes."""

    def __init__(self) -> None:
        self._large: dict[int, Node] = {}
        self._rows: set[int] = set()
        self.guarded: dict[int, tuple[Node, int]] = {}
        self.answered = False
        """Whether columns of the answer may be large, and stand in more rows than one."""

    def sized(self, node: Node, size: Size) -> Size:
        """Keep whether an expression may be large; return its size."""
        if size.large:
            self._large[id(node)] = node
        return size

    def is_row(self, node: Node) -> None:
        """Keep that a name is that of a whole row, or of nothing that is known."""
        self._rows.add(id(node))

    def is_of_row(self, node: Node) -> bool:
        """Tell whether it was kept so."""
        return id(node) in self._rows

    def bounded(self, node: Node, size: Size) -> Size:
        """Return the size that a text has once it is guarded."""
        self.bound([node])
        return replace(size, large=False)

    def bound(self, nodes: list[Node], most: int = MOST_TEXT) -> None:
        """Guard those of *nodes* that may be large, or what they are picked from."""
        for node in nodes:
            if id(node) in self._large:
                self._guard(node, most)

    def _guard(self, node: Node, most: int) -> None:
        name = str(node.get("function_name", "")).lower()
        unseen = node["class"] in ("SUBQUERY", "STAR", "POSITIONAL_REFERENCE") or name in functions.JSON
        if id(node) in self._rows or unseen:
            raise refused(_CUT)
        if node["class"] == "COLUMN_REF" or _is_path(node):
            known = self.guarded.get(id(node))
            self.guarded[id(node)] = (node, min(most, known[1]) if known else most)
        elif node["class"] == "CASE":
            self.bound([check["then_expr"] for check in node["case_checks"]] + [node["else_expr"]], most)
        else:
            inner = [node[key] for key in ("lhs", "child", "default_expr") if node.get(key)]
            self.bound([*inner, *arguments(node), *(node.get("children") or ())], most)


def _is_path(node: Node) -> bool:
    """Tell whether an expression is a part of a JSON column: the same each time that it is worked out."""
    if node["class"] == "LAMBDA":
        return all(map(_is_path, (node["lhs"], node["expr"])))
    if node["class"] == "FUNCTION" and str(node["function_name"]).lower() in functions.PATHS:
        return all(map(_is_path, arguments(node)))
    return node["class"] in ("COLUMN_REF", "CONSTANT")
