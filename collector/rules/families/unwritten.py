"""KEY, continued: values that a language printed because it could not write them down."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from collector.rules.cases import log
from collector.rules.frames import Frames
from collector.rules.rule import Case, Finding, Options, Rule


class _Kind(NamedTuple):
    """What was printed instead of a value."""

    pattern: str
    """Of the whole value."""
    remedy: str


_FUNCTION = r"(?:Async)?(?:Generator)?Function"
_JAVA = r"(?:[a-z]\w*\.)+[A-Z][\w$]*@[0-9a-f]{1,8}"
_POINTER = r"\b0xc0[0-9a-f]{8}\b"
_AT = r"at 0x[0-9A-Fa-f]{6,}\b"
_KINDS: dict[str, _Kind] = {
    "a promise that nobody awaited": _Kind(
        r"^(?:\[object (?:Promise|AsyncFunction|AsyncGenerator)\]|\[Promise object\]"
        r"|(?:[\[{].* )?Promise \{.*\}(?:.*[\]}])?"
        rf"|<(?:coroutine|async_generator) object .* {_AT}.*>"
        r"|<_?\w*(?:Task|Future) (?:pending|finished|cancell?ed|cancelling|at 0x).*>"
        r"|java\.util\.concurrent\.\w*Future\w*@[0-9a-f]+.*|System\.Threading\.Tasks\.(?:Value)?Task(?:`1\[.*\])?)$",
        "Await `{key}` before logging it.",
    ),
    "a circular reference": _Kind(
        r"^(?:\[Circular(?: [*~][^\]]*)?\]|<ref \*\d+> .*|\$@circular\(\()$",
        "Log the fields of `{key}` that matter, without those that lead back to it.",
    ),
    "a function": _Kind(
        rf"^(?:\[object {_FUNCTION}\]|\[{_FUNCTION}(?:: [^\]]*| \([^)]*\))?\](?: \{{.*\}})?"
        r"|(?:async )?function\*? ?[\w$]*\([^)]*\) ?\{.*\}"
        rf"|<(?:function|bound method|built-in (?:function|method)|method-wrapper) .*>|functools\.partial\(<.*"
        r"|<(?:method|slot wrapper) '.*' of '.*' objects>"
        r"|#<(?:Proc|Method|UnboundMethod):.*>|(?:\w+\.)*\w+\$\$Lambda.*@[0-9a-f]+|System\.(?:Func|Action)`\d\[.*\])$",
        "Leave `{key}` out, or log what it returns.",
    ),
    "a class or module": _Kind(
        r"^(?:\[class [^\]]+\](?: \{.*\})?|<(?:class|enum|module) '[^']+'.*>)$", "Log the name of `{key}` alone."
    ),
    "an object without its fields": _Kind(
        r"^(?:\[object [A-Z][\w. ]*\]|\[(?:Object|Array|Map|Set|Getter|Setter|Getter/Setter)\]"
        r"|(?:Weak(?:Map|Set) \{ <items unknown> \}|Object \[Generator\] \{\})"
        # Deeper than Node prints: { a: { b: { c: [Object] } } }
        r"|(?:\w+ )?[\[{].*\[(?:Object|Array|[GS]etter|Getter/Setter|Circular \*\d+"
        rf"|{_FUNCTION}(?:: | \()[^\]]*)\].*[\]}}]"
        # By itself or in a list, map or tuple; in the prose of an error of a library it is not the task's.
        rf"|<.+ {_AT}.*>|(?:\w*(?:[Dd]ict|deque|set)\()?[\[{{(].*<.+ {_AT}[^>]*>.*[\]}})]"
        r"|<(?:Prepared)?(?:Request|Response) \[\w+\]>|<_io\.\w+ .*>|<re\.Match object; .*>"
        rf"|{_JAVA}|[\[{{].*{_JAVA}.*[\]}}]|\[+(?:[ZBCSIJFD]|L[\w.$]+;)@[0-9a-f]{{1,8}}"
        r"|#<[A-Z][\w:]*:0x[0-9a-f]{6,}>|(?:[A-Z]\w*\.)+[\w+]+`\d(?:\+\w+)?\[.*\]"
        r"|System\.(?:Object|[A-Z]\w*\[\]))$",
        "Log the fields of `{key}` that matter, under keys of their own.",
    ),
    "an address in memory": _Kind(
        rf"^(?:{_POINTER}|(?:&?\{{|\[|map\[).*{_POINTER}.*[\]}}])$", "Log what `{key}` points to."
    ),
    "a format that its value does not fit": _Kind(
        r"%!\w?\((?:MISSING|BADINDEX|NOVERB|EXTRA |PANIC=|<nil>|[\w.*\[\]]+=).*\)",
        "Format `{key}` with a verb for its type, such as `%v`.",
    ),
}
"""What a value is instead of itself → how JavaScript, Python, Java, Ruby, .NET and Go print that, and what to do."""
_INSIDE = "an object without its fields"
_BEGINS = (
    r'"(?:[\[<]|#<|(?:async )?function|\$@circular|System\.|functools\.|Weak|Object \[)'
    r"|\[(?:object Object|Object|Array|Circular|Function|AsyncFunction|GeneratorFunction)|%!|`[1-4]"
)
_WITHIN = ("Promise {", "[Getter", " at 0x", "0xc0")
_HASHED = r'[\w;$]@[0-9a-f]{1,8}["\[\],}]'
"""One of the three is in the attributes of every record that has such a value: 0.15 us a record, as each is short
enough to be searched for by its literals; all in one would be 0.4 us."""
_TEXT = r'"(?:[^"\\]|\\.)*"'
_PAIR = rf'{_TEXT}:(?:{_TEXT}|\[(?:{_TEXT}|[^"\[\]{{}}])*\])'
"""A key with its text, or its list of texts."""
_DOCUMENTS = (
    r"(?i)(?:stack|stacktrace|trace|html|body|text|content|output|stdout|stderr|source|code|script|snippet|expression)$"
)


def _unwritten(frames: Frames, options: Options) -> pl.LazyFrame:
    attributes = pl.col("attributes").str
    pairs = (
        frames.task_logs.lazy()
        .filter(attributes.contains(_BEGINS) | attributes.contains_any(list(_WITHIN)) | attributes.contains(_HASHED))
        .with_columns(pair=attributes.extract_all(_PAIR))
        .explode("pair")
        .with_columns(
            key=pl.col("pair").str.extract(r'^"((?:[^"\\]|\\.)*)":'),
            value=pl.col("pair").str.replace(r'^"(?:[^"\\]|\\.)*":', "").str.extract_all(_TEXT),
        )
        .explode("value")
        .with_columns(value=pl.col("value").str.strip_prefix('"').str.strip_suffix('"'))
    )
    value = pl.col("value").str
    kind = pl.coalesce(pl.when(value.contains(f"(?s){k.pattern}")).then(pl.lit(what)) for what, k in _KINDS.items())
    inside = pl.when(value.contains("[object Object]", literal=True)).then(pl.lit(_INSIDE))
    document = pl.col("key").str.contains(_DOCUMENTS)
    whole = value.contains(r"^[\[<$#]")
    return (
        pairs.with_columns(detail=pl.when(~document).then(pl.coalesce(kind, inside)).when(whole).then(kind))
        .filter(pl.col("detail").is_not_null() & ~pl.col("key").str.contains(r"^[$@{]|^ctx\."))
        .select(
            "project",
            "run_key",
            "task_id",
            "operation",
            "time_ns",
            "version",
            "seq",
            "row",
            "detail",
            key=pl.col("key").str.replace_all(r"\.?\[\d+\]", ""),
            table=pl.lit("logs"),
        )
        .unique()
    )


def _remedy(f: Finding) -> str:
    return " ".join(dict.fromkeys(_KINDS[what].remedy.format(key=f["key"]) for what in f["details"]))


KEY007 = Rule(
    code="KEY007",
    slug="unserialisable-value",
    severity="warning",
    grain="task",
    doc="""A value could not be written down: a promise, a function, a circular reference or an object was printed.

    Why: `[object Object]`, `Promise { <pending> }` and `<Order object at 0x7f25ee428b20>` say that there was something,
    and not what.
    How to fix: `await` the promise, log the fields of the object that matter, leave functions out.
    Not flagged: the same text within prose, stack traces and logged documents; maps and lists whose values are there.
    """,
    sentences=("7", "A3"),
    across=_unwritten,
    message="`{key}` holds {details: or }: its value could not be written down.",
    remedy=_remedy,
    bad=(
        Case(logs=(log("order_charge_started", order="[object Object]"),), key="order"),
        Case(logs=(log("order_charge_started", order_id="order-[object Object]"),), key="order_id"),
        Case(logs=(log("order_charge_started", orders=["o1", "[object Map]"]),), key="orders"),
        Case(logs=(log("order_charge_started", callback="[Function: done]"),), key="callback"),
        Case(logs=(log("order_charge_started", charge="Promise { <pending> }"),), key="charge"),
        Case(logs=(log("order_charge_started", order="{ lines: [ { item: [Object] } ] }"),), key="order"),
        Case(logs=(log("order_charge_started", parent="[Circular *1]"),), key="parent"),
        Case(logs=(log("order_charge_started", self="$@circular(("),), key="self"),
        Case(logs=(log("order_charge_started", order="<shop.Order object at 0x7f25ee428b20>"),), key="order"),
        Case(logs=(log("order_charge_started", charge="<coroutine object charge at 0x7f25ee585bc0>"),), key="charge"),
        Case(logs=(log("order_charge_started", order="com.acme.Order@1b6d3586"),), key="order"),
        Case(logs=(log("order_charge_started", amount="%!d(string=12.50)"),), key="amount"),
    ),
    good=(
        Case(logs=(log("order_charge_started", order="o1", note="see [Function: x] in the docs"),)),
        Case(logs=(log("order_charge_failed", level="error", error_stack="Error: [object Object] at x"),)),
        Case(
            logs=(log("order_charge_started", lines={"sku": "s1"}, mail="<ops@acme.io>", kind="Promise", tag="<new>"),)
        ),
    ),
)

RULES = (KEY007,)
