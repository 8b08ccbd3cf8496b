"""Names of keys, messages and tasks as words, however people spell them: `requestID`, `Request-Id`, `request.id`.

Enter: a name. Leave: its words in lower case. The one split there is: what a rule suggests, and what decode takes for
one of the ids, follow from it.
"""

from __future__ import annotations

import re
import unicodedata

# fmt: off
_ONE_WORD = (
    "BigQuery", "CloudFront", "DDoS", "DynamoDB", "EBay", "EMail", "ETag", "GitHub", "GitLab", "GraphQL", "ICloud",
    "IPad", "IPhone", "IaaS", "IoT", "JavaScript", "LinkedIn", "MacOS", "MongoDB", "MySQL", "NoSQL", "NodeJS", "OAuth",
    "OpenAI", "OpenAPI", "PaaS", "PayPal", "PostgreSQL", "SaaS", "TypeScript", "WebSocket", "WhatsApp", "WiFi",
    "YouTube",
)
# fmt: on
"""Names that are one word in spite of the capitals in them; at the beginning of a key their first may be small."""
_BEGINS = r"(?:^|(?<=[^A-Za-z]))"
_ENDS = r"(?=$|[^A-Za-z0-9]|[A-Z][a-z])"
_WORD = re.compile(
    rf"(?:{'|'.join(_ONE_WORD)}|{_BEGINS}(?:{'|'.join(n[0].lower() + n[1:] for n in _ONE_WORD)}))[0-9]*(?![a-z])"
    # iOS, mTLS and eBPF, but not the X of a header: xHTTPMethod.
    rf"|{_BEGINS}[a-wyz][A-Z]{{2,}}[0-9]*{_ENDS}"
    r"|[A-Z]{2,}s(?![a-z])"  # userIDs, baseURLs
    r"|[A-Z]{2,}v[0-9]+(?![a-z])"  # IPv4, UUIDv7
    rf"|[A-Z][0-9]+(?:[A-Z]{_ENDS}|[a-z](?![a-z]))"  # B2B, I18N, K8s
    rf"|{_BEGINS}[0-9]+[A-Z]+{_ENDS}"  # 2FA, 3DSecure
    r"|[A-Z]+[0-9]*(?=[A-Z][a-z])|[A-Z]?[a-z~]+(?:[0-9]+[a-z~]*)*|[A-Z]+[0-9]*|[0-9]+[a-z~]*"
)
"""A word; `~` stands for a letter that is neither small nor large."""


def words(name: str) -> list[str]:
    """Return the words of *name* in lower case: runs of capitals (`HTTPStatus`) and digits (`sha256`) stay together."""
    plain = name.replace("~", " ") if name.isascii() else "".join(map(_like, name))
    return [name[m.start() : m.end()].lower() for m in _WORD.finditer(plain)]


def _like(char: str) -> str:
    """Return what `_WORD` takes *char* for: an ASCII letter of its case, `~`, or itself."""
    if char.isascii():
        return " " if char == "~" else char
    if char.isupper() or char.istitle():
        return "A"
    return "a" if char.islower() else "~" if char.isalnum() or unicodedata.category(char)[0] == "M" else " "


def snake(name: str) -> str:
    """Return *name* in snake_case, letters of every script kept."""
    return "_".join(words(name))


def ascii_snake(name: str) -> str:
    """Return *name* in snake_case of ASCII letters and digits: accents are left out, and letters that have no other."""
    bare = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    return snake("".join(c if c.isascii() else "" if c.isalnum() or unicodedata.combining(c) else " " for c in bare))
