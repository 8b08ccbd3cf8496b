"""Numbers as people read them, and text from telemetry with nothing hidden in it. The same on pages and in reports."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence

from collector.model.units import DAY_NS, HOUR_NS, MINUTE_NS, MS_NS, SECOND_NS

NONE = "–"  # noqa: RUF001 -- the dash that stands for nothing known
HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e007f\U000e0100-\U000e01ef]"
)
"""Controls, characters that cannot be seen, and those that turn the text around."""

_INLINE = re.compile(f"(?!\n){HIDDEN.pattern}")
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 -- full width: spreadsheets read them as the others

_UNITS = ((1e3, "µs", 1000), (MS_NS, "ms", 1000), (SECOND_NS, "s", 60), (MINUTE_NS, "min", 60), (HOUR_NS, "h", 48))
"""Units of durations: length in ns, name, and as many of them are one or more of the next."""


def visible(text: str) -> str:
    """Return *text* on one line, hidden characters as their codes."""
    return codes(text.replace("\r\n", "\n").replace("\n", " ↵ ").replace("\t", "  "))


def codes(text: str) -> str:
    """Return *text* with hidden characters as their codes."""
    return HIDDEN.sub(_code, text)


def json_text(text: str) -> str:
    """Return *text*, which is JSON, with hidden characters as JSON's own escapes: its value is the same."""
    return _INLINE.sub(lambda m: "".join(f"\\u{unit:04x}" for unit in _utf16(m[0])), text)


def cell(text: str) -> str:
    """Return *text* as a cell of CSV: hidden characters but line feeds are codes, what a spreadsheet would take for a
    formula has an apostrophe in front.
    """
    return ("'" if text.startswith(_FORMULA) else "") + _INLINE.sub(_code, text.replace("\r\n", "\n"))


def _utf16(char: str) -> tuple[int, ...]:
    pair = char.encode("utf-16-be")
    return struct.unpack(f">{len(pair) // 2}H", pair)


def _code(found: re.Match[str]) -> str:
    return f"<U+{ord(found[0]):04X}>"


def unit_of(ns: float) -> tuple[float, str]:
    """Return the unit in which a duration is written: its length in ns, and its name."""
    for size, name, most in _UNITS:
        if abs(ns) < 0.9995 * most * size:  # beyond, it is one of the next unit in three digits
            return size, name
    return DAY_NS, "d"


def lines(text: str) -> str:
    """Return *text*, laid out already, with hidden characters as their codes and its lines as they are."""
    return "\n".join(map(codes, text.split("\n")))


def duration(ns: float | None) -> str:
    """Return nanoseconds as a duration of three digits that count, such as `1.5 min`; None is a dash.

    The one way to write a duration, but for columns of a table in which a browser sorts numbers: they are in seconds.
    """
    if ns is None or math.isnan(ns):
        return NONE
    if abs(ns) < 0.5:
        return "0 s"
    size, name = unit_of(ns)
    amount = ns / size
    return f"{amount:,.0f} {name}" if abs(amount) >= 100 else f"{amount:.3g} {name}"


def left_out(kind: str, stage: str) -> str:
    """Return the word for what stands before the name of something that *stage* set aside."""
    if kind == "series":
        return "queue" if stage in ("concurrency", "limits") else "task"
    return "record of" if kind == "record" else kind


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as percent; None is a dash."""
    return NONE if share is None else f"{share * 100:.{digits}f} %"


def count(n: int | None) -> str:
    """Return a number with thousands set apart; None is a dash."""
    return NONE if n is None else f"{n:,}"


def counted(n: int, what: str) -> str:
    """Return how many there are of *what*, a word of which there may be several with an s: `1 run`, `1,240 runs`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def compact(n: int) -> str:
    """Return a number in few characters, three digits that count."""
    for scale, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if n >= 10_000 and n / scale >= 0.9995:
            return f"{n / scale:.3g}{unit}" if n / scale < 999.5 else f"{n / scale:,.0f}{unit}"
    return f"{n:,}"


def populations(rows: Sequence[tuple[str, int, bool]], environment: str | None) -> str:
    """Return in words which runs count, if not simply live ones, and how many do not; "" if all do.

    *rows*: population, runs, whether it counts; *environment*: the one that was chosen.
    """
    names = {"live": "live run", "development": "development run", "replay": "replay"}
    apart = [counted(n, names[p]) for p, n, is_counted in rows if not is_counted]
    sentences = [f"Not counted: {' and '.join(apart)}."] if apart else []
    if environment is None and any(p == "development" and is_counted for p, _, is_counted in rows):
        sentences.insert(0, "Development runs, for the store has no live ones.")
    return " ".join(sentences)


MOST_SAME = 100
"""Runs of one id that are listed: the newest."""
