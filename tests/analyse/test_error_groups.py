"""Errors are grouped by what happened: texts that differ in values alone are one group, those that differ in words not."""

# ruff: noqa: E501 -- tables of texts

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.analyse.error_groups import LONGEST, READ, with_groups
from collector.analyse.error_words import VALUE
from tests.length import examples

Error = tuple[str | None, str | None]
SCHEMA = {"error_type": pl.String, "error_message": pl.String}

# fmt: off
SAME: tuple[tuple[str, str], ...] = (
    # ids, names, addresses
    ("User 42 not found", "User 7 not found"),
    ("User 42 not found", "User 'alice' not found"),
    ("User 'alice' not found", 'User "bob o\'neil" not found'),
    ("User 42 not found", "User 8d3c1b9e-4f5a-4c1e-9a70-0d6a1c2b3e4f not found"),
    ("User 42 not found", "User alice@example.com not found"),
    ("Order ORD-12345 not found", "Order INV-2026-001 not found"),
    ("run run_cm3x9abc0q1 expired", "run run_cm90zzk1abx expired"),
    ("no customer cus_NffrFeUfNVHibq", "no customer cus_9s6XKzkNRiz8i3"),
    ("no such object: deadbeefcafe", "no such object: 0a1b2c3d4e5f"),
    ("commit 3f9a1c2 is gone", "commit deadbeef is gone"),
    ("mail to a.b+c@example.org bounced", "mail to d@sub.example.co.uk bounced"),
    ("phone +49 170 1234567 is invalid", "phone (030) 901820 is invalid".replace("(030) ", "030 ")),
    ("card 4111 1111 1111 1111 declined", "card 5500-0000-0000-0004 declined"),
    ("заказ №12 не найден", "заказ №99 не найден"),
    ("订单 12345 未找到", "订单 99 未找到"),
    ("注文「12」が見つかりません", "注文「別の」が見つかりません"),
    ("رقم ١٢٣ غير صالح", "رقم 99 غير صالح"),
    ("unknown SKU `ab` in cart", "unknown SKU `cd-9` in cart"),
    ("user=alice rejected", "user=bob rejected"),
    ("user_id=12, retries=3: gave up", "user_id=77, retries=5: gave up"),
    ("worker-7 died", "worker-12 died"),
    # numbers, durations, sizes, times
    ("timeout of 5000ms exceeded", "timeout of 30000ms exceeded"),
    ("timeout of 5000ms exceeded", "timeout of 5 s exceeded"),
    ("no answer after 1 second", "no answer after 2.5 minutes"),
    ("file too large: 12.5 MiB > 10 MiB", "file too large: 1,024 kB > 512 kB"),
    ("used 98 % of memory", "used 99.5% of memory"),
    ("amount $12.50 is too large", "amount $1,000 is too large"),
    ("expired at 2026-11-23T08:00:00Z", "expired at 2026-11-24 09:30:00.123+01:00"),
    ("expired on Mon Nov 23 2026 10:00:00 GMT+0100 (Central European Standard Time)", "expired on Tue Jan 5 2027 01:02:03 GMT+0000 (Coordinated Universal Time)"),
    ("expired on Mon, 23 Nov 2026 10:00:00 GMT", "expired on Tue, 05 Jan 2027 01:02:03 GMT"),
    ("missing ids [1, 2, 3]", "missing ids [4]"),
    ("missing ids ['a', 'b']", "missing ids [9, 10, 11, 12]"),
    ("1 row was locked", "12 rows was locked"),
    ("1 validation error for Order\nid\n  Field required", "2 validation errors for Order\nname\n  Field required"),
    ("index out of range [5] with length 3", "index out of range [0] with length 0"),
    ("Unexpected token < in JSON at position 0", "Unexpected token < in JSON at position 1234"),
    ("bad offset -3", "bad offset +17"),
    ("bad address 0x7f3a2b1c", "bad address 0xDEADBEEF"),
    ("User 457 not found", "User 1457 not found"),
    ("Row 234 locked", "Row 12 locked"),
    ("Job 311 error", "Job 31 error"),
    ("Order 512 status invalid", "Order 1512 status invalid"),
    ("expected at most 3, got 123", "expected at most 3, got 17"),
    ("received 345 bytes", "received 17 bytes"),
    ("received 500 bytes", "received 17 bytes"),
    ("returned 250 rows", "returned 7 rows"),
    ("Invalid code 48213", "Invalid code 271828"),
    # urls, hosts, paths, places
    ("GET https://api.example.com/v1/orders/1?x=2 failed", "GET http://10.0.0.1:8080/y failed"),
    ("connect ECONNREFUSED 10.0.0.1:5432", "connect ECONNREFUSED ::1:5432"),
    ("connect ECONNREFUSED 127.0.0.1:6379", "connect ECONNREFUSED redis:6379"),
    ("getaddrinfo ENOTFOUND api.stripe.com", "getaddrinfo ENOTFOUND db"),
    ("connection to db.prod.internal lost", "connection to replica.eu-west-1.rds.amazonaws.com lost"),
    ("dial tcp: lookup redis on 10.0.0.10:53: no such host", "dial tcp: lookup mail.example.com on [::1]:53: no such host"),
    ("[Errno 2] No such file or directory: '/tmp/x'", "[Errno 2] No such file or directory: '/var/lib/y.csv'"),
    ("cannot open /tmp/a/b.txt", "cannot open C:\\Users\\bob\\c.txt"),
    ("cannot read report.pdf", "cannot read data/2026/x.csv"),
    ("at /app/dist/x.js:12:5", "at /srv/y.js:1:77"),
    ("bad line 12, column 5", "bad line 300, column 1"),
    # payloads
    ('rejected {"a": {"b": [1]}}', "rejected {'c': None}"),
    ("unexpected answer: <!DOCTYPE html><p>x</p>", "unexpected answer: <html lang=en>y</html>"),
    ('{"message": "card declined", "id": 12}', '{"id": 99, "message": "card declined"}'),
    ("bad token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig1", "bad token eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiI5In0.zzz9"),
    ('Key (email)=(a@b.c) already exists', 'Key (email)=(Dr. No, x) already exists'),
    ("E11000 duplicate key error dup key: { email: \"x@y.z\" }", "E11000 duplicate key error dup key: { email: \"q@r.s\" }"),
    ("Command '['ffmpeg', '-i', 'a.mp4']' returned non-zero exit status 1.", "Command '['ffmpeg', '-i']' returned non-zero exit status 1."),
    ("cannot read Contract.PDF", "cannot read Report.CSV"),
    ("f() missing 1 required positional argument: 'x'", "f() missing 2 required positional arguments: 'x' and 'y'"),
    ("The duplicate key value is (ann).", "The duplicate key value is (17)."),
    ("gave up after 1 retry", "gave up after 3 retries"),
    # forms
    ("boom", "  boom\n"),
    ("boom", "\x1b[31mboom\x1b[0m."),
    ('"database is locked"', "database is locked"),
    ("job failed\n    at f (/a.js:1:2)\n    at g (/b.js:3:4)", "job failed\n    at h (/c.js:9:9)"),
    ("Traceback (most recent call last):\n  File \"x.py\", line 1, in f\n    g()\nValueError: bad 3", "ValueError: bad 77"),
    ("Cannot read properties of undefined (reading 'id')", "Cannot read properties of undefined (reading 'name')"),
)
"""Texts of one group."""
DIFFERENT: tuple[tuple[str, str], ...] = (
    ("card was declined", "database is locked"),
    ("User 42 not found", "Order 42 not found"),
    ("User 42 not found", "User 42 is locked"),
    ("Request failed with status code 503", "Request failed with status code 404"),
    ("HTTP 503", "HTTP 404"),
    ("HTTP/1.1 500 Internal Server Error", "HTTP/1.1 429 Too Many Requests"),
    ("404 Client Error: Not Found for url: https://a.com/x", "403 Client Error: Forbidden for url: https://a.com/x"),
    ("server responded with 502", "server responded with 504"),
    ("Client error '401 Unauthorized' for url 'https://a.com/x'", "Client error '404 Not Found' for url 'https://a.com/x'"),
    ("Server error '500 Internal Server Error' for url 'https://a.com'", "Server error '503 Service Unavailable' for url 'https://a.com'"),
    ("500, message='Internal Server Error', url=URL('https://a.com')", "404, message='Not Found', url=URL('https://a.com')"),
    ("(404)\nReason: Not Found", "(403)\nReason: Forbidden"),
    ('<HttpError 404 when requesting https://a.com returned "x">', '<HttpError 503 when requesting https://a.com returned "x">'),
    ("StatusCodeError: 404 - \"x\"", "StatusCodeError: 503 - \"x\""),
    ("Request failed: 404", "Request failed: 503"),
    ("No such file (os error 2)", "No space left (os error 28)"),
    ("open failed (os error 2)", "open failed (os error 28)"),
    ("npm ERR! code E404", "npm ERR! code E403"),
    ('{"code":"card_declined","id":12}', '{"code":"expired_card","id":12}'),
    ("Command '['ffmpeg', '-i']' returned non-zero exit status 1.", "Command '['ffmpeg', '-i']' died with <Signals.SIGKILL: 9>."),
    ("Command '['ffmpeg', '-i']' returned non-zero exit status 1.", "Command '['ffmpeg', '-i']' returned non-zero exit status 137."),
    ("status: 401", "status: 403"),
    ("An error occurred (404) when calling the HeadObject operation", "An error occurred (403) when calling the HeadObject operation"),
    ("An error occurred (AccessDenied) when calling PutObject", "An error occurred (SlowDown) when calling PutObject"),
    ("expected 200, got 503", "expected 200, got 404"),
    ("upstream returned 502 for /x", "upstream returned 504 for /x"),
    ("got a 500 error", "got a 429 error"),
    ("process exited with code 137", "process exited with code 1"),
    ("Command failed with code 3", "Command failed with code 4"),
    ("rejected (code 3)", "rejected (code 4)"),
    ("rejected, code: 3", "rejected, code: 4"),
    ("[Errno 2] x", "[Errno 13] x"),
    ("SQLSTATE[23000]: failed", "SQLSTATE[40001]: failed"),
    ("ORA-00001: failed", "ORA-12541: failed"),
    ("Error 1205 (HY000): failed", "Error 1213 (40001): failed"),
    ("connect ECONNREFUSED 10.0.0.1:5432", "connect ETIMEDOUT 10.0.0.1:5432"),
    ("rpc error: code = Unavailable desc = x", "rpc error: code = DeadlineExceeded desc = x"),
    ("code=ECONNRESET", "code=EPIPE"),
    ("P2002: failed", "P2025: failed"),
    ("java.net.ConnectException: refused", "java.net.SocketTimeoutException: refused"),
    ("com.acme.v2.S3UploadError: x", "com.acme.v2.HTTP2Error: x"),
    ("cannot encode utf-8", "cannot encode base64"),
    ("expected int32", "expected float64"),
    ("don't retry", "won't retry"),
    ("job failed\n\tat a.B(C.java:1)\nCaused by: java.io.IOException: disk full", "job failed\n\tat a.B(C.java:1)\nCaused by: java.io.IOException: closed"),
    ("Command failed:\nno such branch", "Command failed:\npermission denied"),
    ('{"message": "card declined", "id": 12}', '{"message": "card expired", "id": 12}'),
    ("GET https://a.com failed", "POST https://a.com failed"),
    ("订单 12345 未找到", "订单 12345 已取消"),
)
"""Texts of two groups."""
# fmt: on


def grouped(errors: Sequence[Error]) -> list[str | None]:
    """Return the group of each error."""
    rows = pl.DataFrame(errors, schema=SCHEMA, orient="row")
    return with_groups(rows)["error_group"].to_list()


def of(*messages: str) -> list[str | None]:
    """Return the groups of errors without a type."""
    return grouped([(None, m) for m in messages])


def test_what_differs_in_values_is_one_group_and_what_differs_in_words_is_not() -> None:
    """Of pairs of texts as they come from databases, HTTP clients, and languages, every one is told as people would."""
    texts = [text for pair in (*SAME, *DIFFERENT) for text in pair]
    groups = of(*texts)
    pairs = list(zip(groups[::2], groups[1::2], strict=True))
    assert [(a, b) for a, b in pairs[: len(SAME)] if a != b] == []
    assert [(a, b) for a, b in pairs[len(SAME) :] if a == b] == []
    assert [a for a, _ in pairs if not a or a == VALUE] == []


def test_a_group_is_read_by_people() -> None:
    """A group is the type and the text as it was, with `<value>` where a value was; a type is told once."""
    said: dict[Error, str | None] = {
        ("Error", "card was declined for 'Ann' (order 12)"): "Error: card was declined for <value> (order <value>)",
        ("OperationalError", "database is locked"): "OperationalError: database is locked",
        ("TypeError", "TypeError: x is not a function"): "TypeError: x is not a function",
        ("java.net.ConnectException", "ConnectException: refused"): "java.net.ConnectException: refused",
        (None, "Uncaught TypeError: x"): "TypeError: x",
        ("KeyError", "'Ann Mary Smith'"): "KeyError: <value>",
        ("ValueError", "'Ann Smith'"): "ValueError: <value>",
        ("ValueError", "'card was declined'"): "ValueError: card was declined",
        ("Timeout", None): "Timeout",
        ("Timeout", ""): "Timeout",
        ("S3UploadFailedError", "12"): "S3UploadFailedError: <value>",
        ("Error 8f3a2b1c of user 12", None): "Error <value> of user <value>",
        (None, "\x00\u200b "): None,
        (None, None): None,
        ("", ""): None,
        ("Error", "job failed\n\tat x\nCaused by: a.B: no disk"): "Error: job failed, caused by a.B: no disk",
        ("Error", "Request failed with status code 503"): "Error: Request failed with status code 503",
        ("Error", "invalid verification code 482913"): "Error: invalid verification code <value>",
    }
    assert dict(zip(said, grouped(list(said)), strict=True)) == said


def test_rows_keep_their_order_and_share_groups() -> None:
    """Every row gets the group of its own error, whatever stands beside it; so any order gives the same."""
    errors: list[Error] = [("A", "x 1"), (None, None), ("B", "x 1"), ("A", "x 2"), (None, "x 1")]
    assert grouped(errors) == ["A: x <value>", None, "B: x <value>", "A: x <value>", "x <value>"]
    assert grouped(errors[::-1]) == grouped(errors)[::-1]
    assert [grouped([e])[0] for e in errors] == grouped(errors)


WORDS = st.sampled_from(
    [
        "user",
        "not found",
        "can't",
        "a: b",
        "(x)",
        "über",
        "[y]",
        "IOError:",
        "of",
        "\u2013",
        "/",
        "'",
        '"',
        "{",
        "=",
        "…",
        "é12",
    ]
)
TEXTS = st.one_of(st.text(max_size=300), st.lists(WORDS | st.text(max_size=5), max_size=40).map(" ".join))


@settings(max_examples=examples(20))
@given(st.lists(st.tuples(st.none() | TEXTS, st.none() | TEXTS), min_size=1, max_size=30))
def test_any_text_has_one_short_line(errors: list[Error]) -> None:
    """Whatever is sent, a group is one line of bounded length without a digit that belonged to a value."""
    for (kind, _), group in zip(errors, grouped(errors), strict=True):
        if group is not None:
            assert 0 < len(group) <= LONGEST
            assert not re.search(r"[\x00-\x1f\x7f\u2028\u2029\ue000\ue001]", group)
            assert kind or not re.search(r"\d{6,}", group)


@settings(max_examples=examples(20))
@given(st.lists(TEXTS, min_size=1, max_size=30))
def test_the_normal_form_of_a_normal_form_is_itself(texts: list[str]) -> None:
    """A group that is grouped stays as it is, so whoever passes one on for a message changes nothing."""
    once = [g or "" for g in of(*texts)]
    assert [g or "" for g in of(*once)] == once


IDS = st.one_of(
    st.integers(0, 10**12).map(str),
    st.uuids().map(str),
    st.text("0123456789abcdef", min_size=8, max_size=40),
    st.emails(domains=st.sampled_from(["example.com", "mail.example.org"])).filter(lambda m: not set(m) & set("'`{}=")),
    st.ip_addresses(v=4).map(str),
    st.integers(2**112, 2**128 - 1).map(lambda n: str(ipaddress.IPv6Address(n))).filter(lambda a: a[0].isdigit()),
    st.datetimes().map(lambda t: t.isoformat(timespec="milliseconds")),
    st.text("abc xyz.,;", min_size=1, max_size=20).map(lambda s: f"'{s}'"),
    st.text("abc xyz'.,;", min_size=1, max_size=20).map(lambda s: f'"{s}"'),
)


@settings(max_examples=examples(15))
@given(st.lists(IDS, min_size=2, max_size=30))
def test_whichever_value_stands_in_a_text_it_is_the_same_group(values: list[str]) -> None:
    """A number, an id, an address, a time or a quotation in the place of another changes no group."""
    assert set(of(*(f"could not charge {v} for the order" for v in values))) == {
        f"could not charge {VALUE} for the order"
    }
    assert set(of(*(f"no invoice: {v}" for v in values))) == {f"no invoice: {VALUE}"}


def test_what_is_long_is_looked_at_so_far() -> None:
    """Of a text of any size the same beginning counts, and what no word ends is a value."""
    long = [
        "a" * 12_000,
        "'" * 12_000,
        "{" * 12_000,
        "1." * 6_000,
        "/" * 12_000,
        "a@" * 6_000,
        "\\" * 12_000,
        "word " * 2_400,
    ]
    groups = of(*long, *(t[:READ] for t in long))
    assert groups[: len(long)] == groups[len(long) :]
    assert all(g is None or len(g) <= LONGEST for g in groups)
