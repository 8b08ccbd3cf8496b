"""The keys of a run where a logger put them into something: into the body of the record, or into a map beside it.

Enter: a log whose attributes name no run. Leave: the keys, and which of a few places they stand in. Whatever else holds
a run id is somebody's payload: what lies deeper, other maps, text around JSON, or JSON whose message is none of ours.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from collector.decode import jsontext
from collector.decode.dialects.base import Attributes
from collector.decode.dialects.generic import names_run
from collector.decode.event import NONE, event
from collector.decode.work import Work

_MAPS = ("extra", "context")
"""Attributes in which loggers put a record's keys, as a map or as JSON text."""
_MESSAGE = ("message", "msg", "event")
"""Keys of a body that is a map for what the record says."""
_MAY_NAME_RUN = re.compile(r'[Rr](?:un|UN)[^"]?[Ii][Dd]"')
"""What a text of JSON has that names a run."""


class Nested(NamedTuple):
    """Keys of a run, and where they stand."""

    place: str
    """`body`, `extra` or `context`."""
    keys: Attributes
    said: str | None
    """What the record says, where the body is not itself the message."""


def find(attributes: Attributes, body: Any, work: Work) -> Nested | None:
    """Return the keys of a run that *body* or a map among *attributes* names, the first that names one."""
    if isinstance(body, dict):
        if names_run(body):
            return Nested("body", body, _message(body))
    elif isinstance(body, str):
        keys = _object(body, work)
        if keys is not None and event(said := _message(keys) or "") is not NONE:
            return Nested("body", keys, said)
    for place in _MAPS:
        value = attributes.get(place)
        keys = _object(value, work) if isinstance(value, str) else value
        if isinstance(keys, dict) and names_run(keys):
            return Nested(place, keys, _message(body) if isinstance(body, dict) else None)
    return None


def _message(keys: Attributes) -> str | None:
    """Return the first text that has the conventions' form, else the first that there is."""
    texts = [said for key in _MESSAGE if isinstance(said := keys.get(key), str)]
    return next((said for said in texts if event(said) is not NONE), texts[0] if texts else None)


def _object(text: str, work: Work) -> Attributes | None:
    """Return the object that is all of a *text* of JSON, if it names a run."""
    if not jsontext.may_be_one(text) or not _MAY_NAME_RUN.search(text):
        return None
    keys = jsontext.read(text, work)
    return keys if isinstance(keys, dict) and names_run(keys) else None
