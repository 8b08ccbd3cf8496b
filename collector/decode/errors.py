"""The type and the message of an error, where a logger put it as an object, as text, or as a stack.

Enter: the attributes of a record that does not state them otherwise. What is read of a text is bounded, and found in
time that grows with its length alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from collector.decode import jsontext
from collector.decode.dialects.base import Attributes, text
from collector.decode.work import Work

Said = tuple[str | None, str | None]
"""(type, message)."""
_NOTHING: Said = (None, None)

_KEYS = ("err", "error", "exception", "exc_info", "Exception")
"""Keys under which loggers put an error."""
_TYPES = ("type", "name", "class", "kind", "exc_type", "className", "errorType", "Type", "Name", "Class", "ClassName")
_MESSAGES = ("message", "msg", "value", "exc_value", "errorMessage", "Message", "Value")
_INSIDE = (*_KEYS, "stack", "stacktrace", "stackTrace", "stack_trace")
"""Keys of a map that says neither, under which it may say both."""
_NO_MESSAGE = frozenset({"", "true", "false", "null", "none", "undefined", "nonetype: none"})
"""What is no message: marks that there was an error, or none."""
_LONGEST_TYPE, _LONGEST = 256, 8_192
"""Characters of a type and of a message that are read from a text, which itself is kept."""

_TRACEBACK = "Traceback (most recent call last):"
_FRAME = "\n  File"
_BY_TYPE = re.compile(r"(?:[A-Za-z_$][\w$]{0,99}(?:\.|::|\\)){0,20}[A-Za-z_$][\w$]{0,99}(?::|\Z)", re.ASCII)
"""What a stack begins with: the name of a type, and a message behind a colon."""
_NAMED = re.compile(r"(?:Error|Exception|Interrupt|Exit)\Z")
"""How types of errors are called."""
_CAPITAL = re.compile(r"(?:.*[.:\\])?[A-Z][^.:\\]*\Z")
"""How types of anything are called."""
_BEFORE = re.compile(r'(?:Exception in thread "[^"\n]{0,99}" |Uncaught |Unhandled exception\. |Caused by: )')
_AT = re.compile(r"\n[ \t]+at |\nStack trace:|\n#0 ")
"""Where the frames of a stack begin, in Java, JavaScript, .NET and PHP."""
_REPR = re.compile(r"<class '([\w.]{1,200})'>\Z")
"""A type as Python shows it."""


def error(attributes: Attributes, work: Work) -> Said:
    """Return the type and the message of a logger's error: the first that says both, else the first that says one."""
    part = _NOTHING
    for key in _KEYS:
        found = attributes.get(key)
        if found is not None:
            said = _of(found, work)
            if said[0] and said[1]:
                return said
            if part is _NOTHING and said != _NOTHING:
                part = said
    return part


def _of(found: Any, work: Work, deep: bool = False) -> Said:
    if isinstance(found, list):
        match found:
            case [str(kind), str(message), *_] if shown := _REPR.match(kind):  # Python's own three of an error
                return shown[1], text(message)
        found = found[0] if found else None  # of structlog, the one that was raised
    if isinstance(found, dict):
        return _of_map(found, work, deep)
    if isinstance(found, str):
        return _of_text(found, work, deep)
    return _NOTHING


def _of_map(found: Attributes, work: Work, deep: bool) -> Said:
    kind, message = _first(found, _TYPES), _first(found, _MESSAGES)
    if kind is None and message is None and not deep:
        for key in _INSIDE:
            if (said := _of(found.get(key), work, deep=True)) != _NOTHING:
                return said
    if kind is not None and (shown := _REPR.match(kind)):
        kind = shown[1]
    return kind or text(found.get("code")), message


def _first(found: Attributes, keys: tuple[str, ...]) -> str | None:
    return next((said for key in keys if (said := (text(found.get(key)) or "").strip())), None)


def _of_text(said: str, work: Work, deep: bool) -> Said:
    if not deep and jsontext.may_be_one(said) and isinstance(inside := jsontext.read(said, work), (dict, list)):
        return _of(inside, work)
    said = said.strip()
    if (at := said.rfind(_TRACEBACK)) >= 0:
        return _typed(_raised(said, at), lambda name: True)
    if len(said) <= 16 and said.lower() in _NO_MESSAGE:
        return _NOTHING
    stack = _AT.search(said)
    before = _BEFORE.match(said)
    message = said[before.end() if before else 0 : stack.start() if stack else None]
    return _typed(message, (_CAPITAL if stack else _NAMED).search)


def _raised(said: str, at: int) -> str:
    """Return what a traceback of Python says behind its last frame."""
    line = said.rfind(_FRAME, at)
    line = said.find("\n", line + 1 if line >= 0 else at)
    while 0 <= line < len(said) - 1 and said[line + 1] in " \t\n":
        line = said.find("\n", line + 1)
    return said[line + 1 :] if line >= 0 else ""


def _typed(said: str, is_type: Callable[[str], Any]) -> Said:
    """Return the type that a text begins with, if it is called as one, and the message behind it."""
    found = _BY_TYPE.match(said[:_LONGEST_TYPE].partition("\n")[0])
    if found and (name := found[0].removesuffix(":")) and is_type(name):
        behind = said[found.end() :]
        if behind[:1] in ("", " ", "\n"):
            return name, behind.strip()[:_LONGEST] or None
    return None, said.strip()[:_LONGEST] or None
