"""Passwords, keys and tokens that a text assigns to a word: `password=…`, `"api_key": "…"`, `--client-secret …`.

The value decides: what is masked, a variable, a type, prose, a hash or the name of something else is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from collector.personal.masks import is_example, is_masked
from collector.personal.plain import Span


def _cased(word: str) -> str:
    return f"(?:{word}|{word.title()}|{word.upper()})"


def _compound(first: str, last: str) -> str:
    parts = [*first.split(), last]
    return "[_ -]?".join(_cased(part) for part in parts)


_PASSWORDS = "|".join(
    map(_cased, ("password", "passwd", "passphrase", "passcode", "passwort", "contraseña", "contrasena"))
)
_KEYS = "|".join(
    _compound(first, "key")
    for first in (
        *("api", "access", "secret", "account", "private", "signing", "encryption", "master", "auth", "license"),
        *("subscription", "shared access", "admin", "service", "service role"),
    )
)
WORDS = (
    f"{_PASSWORDS}|(?:pwd|Pwd|PWD)|(?<![A-Za-z])(?:pass|PASS|Pass|pw|PW)|{_KEYS}|{_cased('secret')}|{_cased('token')}"
)
LEADS = WORDS.replace("(?<![A-Za-z])(?:pass|", "(?:[^A-Za-z]|^)(?:pass|")
"""`WORDS` for engines that do not look behind."""

_PARTS = ("pass", "contrase", "pw", "key", "secret", "token")
"""One of them is in every word."""

_VALUE = (
    r"(?:\"(?P<double>(?:[^\"\\\r\n]|\\.){1,512})(?=\")|'(?P<single>(?:[^'\\\r\n]|\\.){1,512})(?=')"
    r"|\\{1,3}[\"'](?P<escaped>[^\"'\\\r\n]{1,512})|(?P<bare>[^\s\"'`&;,\\]{1,512}))"
)
_ASSIGNED = re.compile(
    rf"(?P<word>{WORDS})(?:\\{{0,3}}[\"'`])?\]?"
    rf"(?P<between>\s{{0,3}}(?:=>|:=|[=:])\s{{0,3}}|(?<![\s\"'`\]]) (?=\S))[bru]?{_VALUE}"
)
_OPENED_BY = {")": "(", "]": "[", "}": "{", ">": "<"}
_ARN = re.compile(r"arn:[\w:/-]{0,96}$")
_LONG = re.compile(r"(?=\S*[0-9])(?=\S*[A-Za-z])[A-Za-z0-9_-]{32,}")
_FLAG = re.compile(r"--[A-Za-z0-9_-]{0,64}$")
_ELEMENT = re.compile(rf"<[\w:.-]{{0,48}}(?P<word>{WORDS})>(?P<value>[^<>\s]{{1,512}})</")

_OTHER_TOKEN = re.compile(
    r"(?i)(?:next|page|continuation|pagination|sync|resume|cancel|lock|cursor|csrf|xsrf|device|task|wait(?:point)?"
    r"|consistency|snapshot|trace|lease|fencing|partition|stop|end|start|claim|idempotency|shuffle|client_?request)[_-]?$"
)
_REFERENCE = re.compile(
    r"(?i)^(?:arn:|projects/|vault:|op://|ssm:|env[:.]|file:|secretref:|@microsoft\.keyvault|aws-sm|gcp-sm|keyvault"
    r"|\w+://[^@]*$|[./~]{0,2}(?:/[\w.-]+){2,}$|~/|[a-z]:\\)"
)
_TEMPLATE = re.compile(r"^(?:[$#%]?\{\{?[\w. -]{1,64}\}|<[\w -]{1,64}>|\$\(\w|%\(\w{1,32}\)s|:[a-z_]{1,32}[0-9]{0,2}$)")
_CAMEL = re.compile(r"^[A-Za-z]?[a-z]+(?:[A-Z]{1,3}[a-z]+){0,8}[A-Z]{0,3}$")
_CODE = re.compile(
    r"^[!&*(]{0,3}[A-Za-z_$][A-Za-z_$]*(?:(?:\.|->|::|\?\.)[A-Za-z_$][\w$]*)+(?:[\[(,;]|$)|^[A-Za-z_$][\w$.]*[(\[]|=>"
)
_HASH = re.compile(
    r"(?i)^(?:\$(?:2[abxy]?|[1567y]|argon2\w*|scrypt|pbkdf2[\w-]*)\$|\{\w{2,10}\}|pbkdf2|(?:sha-?\d+|md5|hmac|bcrypt|scrypt|argon2\w*)[:$-])"
)
_DIGEST = re.compile(r"(?i)^(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$")
_UUID = re.compile(r"(?i)^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$")
_NAMED = re.compile(r"^[A-Za-z]+(?:[-_./:][A-Za-z]+)*[-_./:]?v?\d{0,6}$|^[A-Z]+(?:_[A-Z0-9]+)+$")
_PATH = re.compile(r"^(?:[\w-]+/)+[\w-]+\.[a-z]{2,5}$|^[a-z_]{1,20}=[^=]")
_SNAKE = re.compile(r"(?!(?:\D*\d){6})[a-z][a-z0-9]{0,11}(?:_[a-z0-9]{1,12})+$")
_REMARK = re.compile(r"(?:\w+_)?(?:too|not|is|must|invalid|required|missing|wrong|weak|min|max)_[a-z_]+[0-9]{0,2}$")
_ID = re.compile(r"^[a-z]{2,12}_[a-z0-9]{6,}$")
# fmt: off
_STOP = frozenset({
    "a", "absent", "admin_required", "and", "any", "ask", "at", "auth", "basic", "bcrypt", "blank", "bool", "boolean",
    "bytes", "can", "cannot", "change", "changeme", "char", "confirm", "confirmation", "correct", "credential",
    "credentials", "creds", "current", "db", "default", "different", "empty", "enter", "env", "error", "expected",
    "failed", "failure", "false", "field", "file", "for", "forgot", "forgotten", "from", "generate", "generated",
    "grant", "has", "hash", "hashed", "help", "if", "in", "incorrect", "input", "int", "invalid", "is", "its", "key",
    "keychain", "keyfile", "length", "less", "login", "long", "managed", "manager", "match", "matches", "max", "md5",
    "min", "mismatch", "missing", "must", "never", "new", "nil", "no", "none", "not", "null", "number", "object", "of",
    "off", "ok", "old", "on", "only", "optional", "or", "passed", "passwd", "password", "plain", "policy", "present",
    "prompt", "provided", "pwd", "random", "received", "recovery", "required", "reset", "same", "secret", "should",
    "skip", "stdin", "str", "string", "strong", "success", "text", "that", "the", "this", "to", "token", "too", "true",
    "type", "unavailable", "unchanged", "unknown", "unset", "update", "use", "user", "username", "valid", "value",
    "varchar", "vault", "via", "was", "weak", "when", "with", "wrong", "yes", "your",
})
# fmt: on
"""Words that stand behind such a word and are no password."""
_PARTICIPLE = re.compile(r"(?:[^aeiou]ed|ied|ated|ized|ing|able|ible)$")


def find(text: str) -> Iterator[Span]:
    """Yield where values stand in *text* that are assigned to such words."""
    lower = text.lower()
    if not any(part in lower for part in _PARTS):
        return
    for match in _ASSIGNED.finditer(text):
        before = text[max(0, match.start() - 100) : match.start()]
        kind = str(match.lastgroup)
        value, start = match[kind], match.start(kind)
        api = re.fullmatch(r"(?i)api[_ -]?key", match["word"])
        if match["between"] == " " and not _FLAG.search(before) and not (api and _LONG.fullmatch(value)):
            continue
        if _ARN.search(before):
            continue
        if kind == "bare":
            value = _unbracketed(value)
        prose = kind == "bare" and match["between"] not in ("=", "=>", ":=", " ")
        if is_value(match["word"], value, before=before, prose=prose):
            yield start, start + len(value)
    for match in _ELEMENT.finditer(text):
        if is_value(match["word"], match["value"]):
            yield match.span("value")


def _unbracketed(value: str) -> str:
    """Return *value* without the stop, and the brackets that were opened before it, at its end."""
    while value and (value[-1] in ".:" or value.count(value[-1]) > value.count(_OPENED_BY.get(value[-1], value[-1]))):
        value = value[:-1]
    return value


def is_value(word: str, value: str, *, before: str = "", prose: bool = False) -> bool:
    """Tell whether *value* reads like a password, key or token, as *word* says, and not like what stands in for one.

    *before*: what stands before the word in its name. *prose*: neither quotes nor a bare `=` set it off.
    """
    if (
        not value
        or is_masked(value)
        or is_example(value)
        or _REFERENCE.match(value)
        or _CODE.match(value)
        or _HASH.match(value)
    ):
        return False
    if _TEMPLATE.match(value) or value.startswith("(?") or (prose and value[0] == "("):
        return False
    word = re.sub(r"[_ -]", "", word).lower()
    if word.startswith("pass") or word in ("pwd", "pw") or word.startswith("contrase"):
        return _is_password(word, value, prose)
    return _is_key(word, value, before)


def _is_password(word: str, value: str, prose: bool) -> bool:
    if word == "passphrase" and re.fullmatch(r"[a-z]+(?: [a-z]+){3,}", value):
        return True
    if len(value) < (6 if prose or word == "pass" else 4) or re.search(r"\s", value) or _DIGEST.match(value):
        return False
    if word in ("pwd", "pass", "pw") and (value[0] in "/~." or not re.search(r"[0-9]", value) or value.isdigit()):
        return False  # a directory, how many passed
    if _REMARK.match(value) or (prose and _PATH.match(value)):
        return False  # what is wrong with it
    if not re.search(r"[0-9]", value) and (prose or re.fullmatch(r"[A-Za-z]+(?:[_.-][A-Za-z]+)*[?!]?", value)):
        parts = re.split(r"[_.-]", value.lower())
        said = (
            not _STOP.isdisjoint(parts)
            or "password" in value.lower()
            or any(_PARTICIPLE.search(part) for part in parts)
        )
        return not prose and (not said or (len(parts) > 3 and "not" not in parts))
    return True


def _is_key(word: str, value: str, before: str) -> bool:
    if len(value) < 8 or re.search(r"\s", value) or not re.search(r"[A-Za-z]", value):
        return False
    if not re.search(r"[0-9]", value) and not (len(value) >= 16 and re.search(r"[a-z].*[A-Z].*[a-z]", value)):
        return False
    if _CAMEL.match(value):
        return False
    if (_NAMED.match(value) and re.search(r"[-_./:]", value)) or _PATH.match(value):
        return False  # the name of a key, not the key
    if word != "token":
        return word != "accountkey" or not _ID.match(value)
    if _SNAKE.match(value):
        return False
    return len(value) >= 16 and not (_UUID.match(value) or _ID.match(value) or _OTHER_TOKEN.search(before))
