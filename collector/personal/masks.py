"""What stands in place of a value: masks, placeholders, variables, and the examples of vendors' documentation."""

from __future__ import annotations

import re

_MASKED = re.compile(
    r"(?i)^(?:[*x•.#_-]{2,}|[\[<({]?(?:redacted|masked|hidden|removed|filtered|secret|password|passwd|pass|pwd|token"
    r"|api_?key|none|null|nil|undefined|empty|unset|not[ _-]?set|missing|n/?a|change[_-]?me|todo|tbd|omitted|sensitive"
    r"|scrubbed|confidential|protected|encrypted|obfuscated)[\])>}]?"
    r"|.{0,8}[*•]{3,}.{0,8}|.{0,12}(?:\.\.\.|…).{0,8}|<[^>]{1,64}>|\[[^\]]{1,64}\]|\(\w{1,32}\)"
    r"|[\$#%]?\{\{?[^}]{1,64}\}?\}|(?-i:\$(?:[A-Z_][A-Z0-9_]*|[a-z_]+\d*|[a-z]+(?:[A-Z][a-z]+)+\d*))|%\w{1,64}%|%\(?\w{0,32}\)?s?|\$\([^)]{1,64}\)?|__\w{1,64}__)$"
)
_PLACEHOLDER = re.compile(
    r"(?i)example|placeholder|redacted|change[_-]?me|(?:^|[_-])your[_-]|insert[_-]|dummy|\*{3}|([a-z0-9])\1{7}"
)
# fmt: off
_DOCUMENTED = frozenset({
    "sk_test_4eC39HqLyjWDarjtT1zdp7dc", "sk_test_BQokikJOvBiI2HlWgH4olfQ2",  # Stripe
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "gho_16C7e42F292c6912E7710c838347Ae178B4a",  # GitHub
    "AIzaSyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe",  # Google
    "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",  # SendGrid
    # Azure's emulators of storage and of Cosmos DB
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==",
    "QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "dGVzdDoxMjPCow==", "mF_9.B5f-4.1JqM",  # RFC 7617, RFC 6750
    # With what the web tokens that jwt.io and RFC 7519 show end
    "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c", "TJVA95OrM7E2cBab30RMHrHDcEfxjoYZgeFONFh7HgQ",
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "XbPfbIHMI6arZ3Y922BhjWgQzWXcXNrz0ogtVhfEd2o",
    "KMUFsIDTnFmyG3nMiGM6H9FNFUROf3wh7SmqJp-QV30",
})
# fmt: on
"""What vendors and standards show as theirs, or the end of it."""


def is_masked(value: str) -> bool:
    """Tell whether *value* shows that something was left out, or names where it is."""
    return bool(_MASKED.match(value))


def is_example(token: str) -> bool:
    """Tell whether *token* is a placeholder, or one that a vendor's documentation shows."""
    return bool(_PLACEHOLDER.search(token)) or any(shown in token for shown in _DOCUMENTED)
