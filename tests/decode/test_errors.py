"""Type and message of an error are read where loggers put it, and where nothing else says them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.decode.errors import error
from collector.decode.work import Work
from tests.decode.test_nested import row

PYTHON = """Traceback (most recent call last):
  File "/app/a.py", line 3, in f
    raise KeyError("k")
KeyError: 'k'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/b.py", line 5, in g
    return f()
           ^^^
"""
JAVA = "\n\tat com.acme.Charge.run(Charge.java:12)\nCaused by: java.io.IOException: inner\n\t... 1 more"
FORMS: dict[str, tuple[Any, str | None, str | None]] = {
    "text of zap, slog, zerolog, logrus": ("no route", None, "no route"),
    "text with colons": ("dial tcp: lookup db: no such host", None, "dial tcp: lookup db: no such host"),
    "type and message": ("TypeError: no route", "TypeError", "no route"),
    "type alone": ("KeyError", "KeyError", None),
    "Java's first line": ("java.lang.IllegalStateException: bad", "java.lang.IllegalStateException", "bad"),
    "Java's stack": ("com.acme.NoStock: two\nleft" + JAVA, "com.acme.NoStock", "two\nleft"),
    "Java's stack of a thread": ('Exception in thread "main" a.B$C: bad' + JAVA, "a.B$C", "bad"),
    "Java's stack without a message": ("java.lang.NullPointerException" + JAVA, "java.lang.NullPointerException", None),
    "JavaScript's stack": ("Uncaught TypeError: no route\n    at f (/a.js:1:2)", "TypeError", "no route"),
    ".NET's stack": ("System.IO.IOException: bad\n   at A.B()", "System.IO.IOException", "bad"),
    "PHP's stack": ("App\\NoStock: bad in a.php:3\nStack trace:\n#0 {main}", "App\\NoStock", "bad in a.php:3"),
    "text at another time": ("failed: x\n at noon", None, "failed: x"),
    "Python's traceback": (PYTHON + "acme.errors.Declined: no funds\n", "acme.errors.Declined", "no funds"),
    "of several lines": (
        PYTHON + "pydantic.Invalid: 1 error\na\n  Field required",
        "pydantic.Invalid",
        "1 error\na\n  Field required",
    ),
    "without a message": (PYTHON + "Declined", "Declined", None),
    "without a frame": ("Traceback (most recent call last):\n  File\nValueError: bad", "ValueError", "bad"),
    "cut off": (PYTHON.rstrip(), None, None),
    "JSON text": (json.dumps({"type": "TypeError", "message": "no route"}), "TypeError", "no route"),
    "JSON text of a list": (json.dumps([{"exc_type": "E", "exc_value": "m"}]), "E", "m"),
    "JSON text cut off": ('{"type":"TypeError","mess', None, '{"type":"TypeError","mess'),
    "structlog": (
        [{"exc_type": "ValueError", "exc_value": "bad", "frames": []}, {"exc_type": "X"}],
        "ValueError",
        "bad",
    ),
    "Python's three": (["<class 'acme.Declined'>", "no funds", "<traceback>"], "acme.Declined", "no funds"),
    "loguru": ({"type": "<class 'ValueError'>", "value": "bad", "traceback": True}, "ValueError", "bad"),
    "PHP and Ruby": ({"class": "RuntimeException", "message": "bad", "code": 0}, "RuntimeException", "bad"),
    "Datadog": ({"kind": "TypeError", "message": "bad", "stack": "x"}, "TypeError", "bad"),
    ".NET": ({"Type": "System.X", "Message": "bad"}, "System.X", "bad"),
    "a code beside a type": ({"code": "E1", "name": "Mine", "message": "bad"}, "Mine", "bad"),
    "a code as the last resort": ({"code": "ECONNREFUSED", "message": "bad"}, "ECONNREFUSED", "bad"),
    "one level down": ({"error": {"type": "T", "message": "m"}}, "T", "m"),
    "one level down beside a code": ({"code": "E1", "error": {"type": "T", "message": "m"}}, "T", "m"),
    "a stack alone": ({"stack": "TypeError: no route\n    at f (/a.js:1:2)"}, "TypeError", "no route"),
    "space around both": ({"type": " TypeError\n", "message": "no route\n"}, "TypeError", "no route"),
    "text one level down": ({"error": "no route"}, None, "no route"),
    "two levels down": ({"error": {"error": {"error": {"type": "T"}}}}, None, None),
    "a number for a message": ({"type": "T", "message": 12}, "T", "12"),
    "nothing of the kind": ({"x": 1}, None, None),
    "a list of nothing": ([], None, None),
    **{f"a mark {mark!r}": (mark, None, None) for mark in (True, 5, "true", " False\n", "", "null", "NoneType: None")},
}


@pytest.mark.parametrize("key", ["err", "error", "exception", "exc_info", "Exception"])
@pytest.mark.parametrize("form", FORMS)
def test_an_error_says_type_and_message(form: str, key: str) -> None:
    """Whatever form a logger has for it; what is stated counts before it, each for itself."""
    sent, kind, message = FORMS[form]
    said = row("a_failed", {key: sent})
    assert (said["error_type"], said["error_message"]) == (kind, message)
    for mine in ({"error_type": "Mine"}, {"error_message": "mine"}):
        said = row("a_failed", {key: sent, **mine})
        assert (said["error_type"], said["error_message"]) == (
            mine.get("error_type", kind),
            mine.get("error_message", message),
        )


@pytest.mark.parametrize("form", FORMS)
def test_an_error_beside_the_keys_of_a_run_is_read(form: str) -> None:
    """In a body or a map that names the run."""
    sent, kind, message = FORMS[form]
    for body, attributes in (
        ({"message": "a_failed", "run_id": "r", "err": sent}, {}),
        ("a_failed", {"extra": {"run_id": "r", "err": sent}}),
    ):
        said = row(body, attributes)
        assert (said["error_type"], said["error_message"]) == (kind, message)


def test_the_first_that_says_both_counts() -> None:
    """Else the first that says one, and never the type of one error with the message of another."""
    said = error({"error": "no route", "exception": PYTHON + "Declined: no funds"}, Work())
    assert said == ("Declined", "no funds")
    assert error({"err": {"type": "A"}, "error": "no route"}, Work()) == ("A", None)
    assert error({"error": True, "exception": {"message": "m"}}, Work()) == (None, "m")


@given(st.text() | st.text("Error:.\n \t\\at{}[]\"'A", max_size=60))
def test_of_any_text_something_bounded_is_read(said: str) -> None:
    """No text is a defect; type and message stand in it."""
    kind, message = error({"error": said}, Work())
    assert kind is None or (kind in said and len(kind) <= 256)
    assert message is None or message in said or said.lstrip()[:1] in ("{", "[")


PIECES = [
    "Traceback (most recent call last):\n",
    "\n  File",
    "\n ",
    "\n",
    "a.",
    "a::",
    "\\",
    "Error: ",
    "\n\t",
    "{",
    "[",
    " at",
    "A",
]


@pytest.mark.parametrize("piece", PIECES)
def test_a_long_text_takes_no_time(piece: str) -> None:
    """However it is put together, and no more of it is kept than is told of an error."""
    began = time.process_time()
    for said in (piece * (400_000 // len(piece)), "Error: " + piece * 50_000, PYTHON + "X: " + piece * 50_000):
        kind, message = error({"error": said, "exc_info": said}, Work())
        assert len(kind or "") <= 256 and len(message or "") <= 8_192
    assert time.process_time() - began < 2
