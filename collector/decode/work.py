"""What decoding a request costs, counted as it is about to be done, so that whoever has no time for more can stop.

A unit is about a microsecond on the machine of docs/performance.md, rather less: what is counted are records, and the
parts of which they may have as many as they like. Time inside a parser is in proportion to bytes.
"""

from __future__ import annotations

import re

RECORD, POINT, BLOCK, ITEM, ELEMENT = 20, 10, 10, 4, 1
"""Units of a log record or span, of a data point, of a resource or scope, of an event, link or exemplar, of an
attribute, element or name."""
NUMBERS = 8
"""Numbers of an array a unit."""
SHARED = 256
"""Characters a unit of a text that is written once and kept with each of many records: what is bounded is memory."""
_SLOW_NUMBER = re.compile(rb"[0-9.][eE][-+]?0*[23][0-9]{2}\s*[,\]}]")
_SLOW = 8
"""Units of a JSON number close to the least or the greatest double, which no fast way converts."""


class Beyond(Exception):
    """The request needs more work than it may take here."""


class Work:
    """What one request may cost: *most* units, None for as many as it takes."""

    __slots__ = ("most", "spent")

    def __init__(self, most: int | None = None) -> None:
        self.most = most
        self.spent = 0

    def spend(self, units: int) -> None:
        """Count what is about to be done; raise Beyond where it would be more than may be."""
        self.spent += units
        if self.most is not None and self.spent > self.most:
            raise Beyond

    def numbers(self, json: bytes) -> None:
        """Count the numbers of a body in JSON that are slow to convert, where it matters what it costs."""
        if self.most is not None and (b"e" in json or b"E" in json):
            self.spend(_SLOW * len(_SLOW_NUMBER.findall(json)))
