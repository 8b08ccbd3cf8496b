"""E-mail addresses: a local part before the `@`, and behind it a domain under a top-level domain that there is.

Names in other scripts count in either part (RFC 6531), domains in punycode too; a quoted local part (RFC 5321) does.
Addresses at a number (`kim@[192.0.2.1]`) do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files

from collector.personal.plain import Plain, Span

# fmt: off
SERVICE_MAILBOXES = frozenset({
    "noreply", "no-reply", "no_reply", "donotreply", "do-not-reply", "mailer-daemon", "bounce", "bounces", "postmaster",
    "hostmaster", "webmaster", "abuse", "security", "support", "help", "info", "hello", "contact", "sales", "billing",
    "admin", "team", "office", "notifications", "notification", "alerts", "news", "newsletter", "jobs", "press",
    "root", "git", "svn", "celery", "worker", "deploy", "ubuntu", "ec2-user", "postgres", "service",
})
# fmt: on
"""Local parts that belong to a role or a program."""


def _top_level_domains() -> frozenset[str]:
    """Return the delegated ones (`tlds.txt`), internationalised ones in both writings."""
    lines = files(__package__).joinpath("tlds.txt").read_text("ascii").splitlines()
    names = [line for line in lines if not line.startswith("#")]
    written = [name.removeprefix("xn--").encode().decode("punycode") for name in names if name.startswith("xn--")]
    return frozenset((*names, *written))


_ALSO_SUFFIXES = frozenset({"py", "sh", "md", "rs", "so", "ps", "zip", "mov", "java", "cab", "bar", "dot", "prod"})
"""Those that more often end a file's or machine's name, unless more before them says mail."""
_MAILED = re.compile(
    r"(?i)(?:mail\w{0,10}|recipients?|(?<![a-z])(?:to|from|cc|bcc|reply))[\"'\\]{0,3}\s?(?:[:=<]|to:)[\s\"'\\<]{0,3}$"
)
_FULL = re.compile(r"[a-z]{2,}\.[a-z]{2,}")
TLDS = _top_level_domains() - {"prod"}
# fmt: off
_FILES = frozenset({
    "bak", "csv", "eml", "gz", "html", "ics", "json", "jsonl", "log", "mbox", "ndjson", "parquet", "pdf", "tar", "tsv",
    "txt", "vcf", "xls", "xlsx", "xml",
})
# fmt: on
"""Endings of files that are named after an address."""
_RESERVED = re.compile(
    r"(?:^|\.)example(?:\.(?:com|org|net|edu))?$|\.(?:test|invalid|local|localhost|internal)$"
    r"|(?:^|\.)(?:gserviceaccount\.com|calendar\.google\.com|mail\.gmail\.com|amazonses\.com|noreply\.github\.com)$"
)
"""Domains of documentation, of networks of one's own, and of accounts and messages that programs make."""

_DOMAIN = re.compile(r"(?:(?:[^\W_]|-){1,63}\.){1,8}(?:xn--[A-Za-z0-9-]{2,59}|[^\W\d_]{2,24})(?![^\W_]|-)")
_LOCAL = re.compile(r"[\w.%+'!#$*^~`-]{1,64}")
_QUOTED = re.compile(r'"[^\W_](?:[^"\\\r\n:,;]{0,60}[^\W_])?"')
_VERSION = re.compile(r"v?\d+\.\d|v\d+\.|\dx\.\w+$")
_ROLE = re.compile(r"(?:no|do[._-]?not)[._-]?reply")
_SHELL = re.compile(r"(?:^|[\s;&|(])(?:ssh|scp|sftp|rsync|mosh)\s(?:-\S{1,64}\s){0,4}$")
_MESSAGE = re.compile(r"(?i)message[-_ ]?id|in[-_]reply[-_]to|^references")
_BEYOND = re.compile(r"[\s/?&=,;\"'<>]")
"""What ends the user part of an address on the web, so that an address behind it is none."""
_UUID = re.compile(r"(?i)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$")


def find(plain: Plain, about: str) -> Iterator[Span]:
    """Yield where addresses of people stand in *plain*. *about*: its key."""
    text = plain.text
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        end = at + 1 + len(_known(domain[0])) if domain else 0
        if end > at + 1:
            start = _start(text, at)
            if start < at and _is_persons(plain, start, at, end, about):
                yield from plain.place([(start, end)])
        at = text.find("@", max(end, at + 1))


def _known(domain: str) -> str:
    """Return *domain* as far as it ends in a known top-level domain: less the ending of a file or a next sentence."""
    labels = domain.split(".")
    while len(labels) > 2 and (labels[-1].lower() in _FILES or (labels[-1].istitle() and labels[-2].islower())):
        labels.pop()
    tld = labels[-1].lower()
    return ".".join(labels) if tld in TLDS else ""


def _start(text: str, at: int) -> int:
    """Return where the local part before *at* begins, *at* where there is none."""
    if text[at - 1 : at] == '"':
        before = text.rfind('"', max(0, at - 64), at - 1)
        return before if before >= 0 and _QUOTED.fullmatch(text, before, at) else at
    local = _LOCAL.match(text[max(0, at - 64) : at][::-1])
    if not local or text[at - 1] == ".":
        return at
    kept = local[0][::-1].rsplit("..", 1)[-1].lstrip(".-+'!#$*^~`%")
    return at - len(kept) if re.search(r"[^\W_]", kept) else at


def _is_persons(plain: Plain, start: int, at: int, end: int, about: str) -> bool:
    text = plain.text
    local, domain = text[start:at], text[at + 1 : end]
    if _RESERVED.search(domain.lower()) or _VERSION.match(domain):
        return False
    if local.lower().split("+")[0] in SERVICE_MAILBOXES or _ROLE.match(local.lower()):
        return False
    before, after = text[max(0, start - 300) : start], text[end : end + 2]
    if before.endswith("+") and local.isdigit():
        return False  # a phone number at its exchange
    if before.endswith("@"):
        return False  # a handle such as @name@host
    ending = domain.lower().split(".")
    if len(ending) == 2 and ending[1] in _ALSO_SUFFIXES:
        said = "mail" in about.lower() or _MAILED.search(before[-40:]) or _FULL.fullmatch(local.lower())
        if not said or re.match(r":\d", after):
            return False  # a file's or a machine's name
    scheme = text.rfind("://", max(0, start - 300), start)
    if scheme >= 0 and plain.is_escaped(at) == plain.is_escaped(scheme) and not _BEYOND.search(text, scheme + 3, start):
        return False  # the user part of an address on the web
    if after in (":/", ":~") or _SHELL.search(before[-300:]) or (before.endswith("/") and domain.isupper()):
        return False  # a login on a machine, a Kerberos principal
    # A mail's message id is an opaque token, between angle brackets or after a word that says so.
    opaque = len(local) > 20 and sum(c.isdigit() for c in local) > 4
    message_id = (before.endswith("<") and after[:1] == ">") or _MESSAGE.search(before[-40:]) or _MESSAGE.search(about)
    return not (opaque and message_id) and not _UUID.match(local)
