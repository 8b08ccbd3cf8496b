"""Keys as vendors' documentation describes them: prefix, alphabet and length, filled from a seed.

Not taken from the patterns of `collector.personal`, which are measured with them.
"""

from __future__ import annotations

import base64
import json
import random
import string
import uuid
from collections.abc import Callable
from urllib.parse import quote

DIGITS, LOWER, UPPER, HEX = string.digits, string.ascii_lowercase, string.ascii_uppercase, "0123456789abcdef"
ALNUM, B64 = string.ascii_letters + DIGITS, string.ascii_letters + DIGITS + "+/"
URL64 = string.ascii_letters + DIGITS + "-_"


def some(dice: random.Random, alphabet: str, n: int) -> str:
    return "".join(dice.choices(alphabet, k=n))


def mixed(dice: random.Random, alphabet: str, n: int) -> str:
    """Return *n* characters of *alphabet* as a generator of keys gives them: capitals, small letters and digits."""
    while True:
        made = some(dice, alphabet, n)
        kinds = (str.isdigit, str.islower, str.isupper)
        if all(any(map(kind, made)) for kind in kinds if any(map(kind, alphabet))):
            return made


KEYS: dict[str, Callable[[random.Random], str]] = {
    "aws id": lambda d: "AKIA" + some(d, UPPER + "234567", 16),
    "aws temporary id": lambda d: "ASIA" + some(d, UPPER + "234567", 16),
    "github": lambda d: d.choice(("ghp_", "gho_", "ghu_", "ghs_", "ghr_")) + some(d, ALNUM, 36),
    "github fine-grained": lambda d: f"github_pat_{some(d, ALNUM, 22)}_{some(d, ALNUM, 59)}",
    "gitlab": lambda d: d.choice(("glpat-", "gldt-", "glrt-", "glft-", "glsoat-")) + mixed(d, URL64, 19) + "a",
    "gitlab trigger": lambda d: "glptt-" + some(d, HEX, 40),
    "npm": lambda d: "npm_" + some(d, ALNUM, 36),
    "pypi": lambda d: "pypi-AgEIcHlwaS5vcmc" + some(d, URL64, d.randrange(90, 170)) + "x",
    "rubygems": lambda d: "rubygems_" + some(d, HEX, 48),
    "docker": lambda d: "dckr_pat_" + some(d, URL64, 26) + "x",
    "stripe": lambda d: d.choice(("sk_live_", "sk_test_", "rk_live_")) + some(d, ALNUM, d.choice((24, 99))),
    "stripe webhook": lambda d: "whsec_" + some(d, ALNUM, 32),
    "openai": lambda d: f"sk-proj-{mixed(d, URL64, 58)}T3BlbkFJ{mixed(d, URL64, 57)}A",
    "openai legacy": lambda d: f"sk-{mixed(d, ALNUM, 20)}T3BlbkFJ{mixed(d, ALNUM, 20)}",
    "anthropic": lambda d: f"sk-ant-api03-{mixed(d, URL64, 93)}AA",
    "openrouter": lambda d: "sk-or-v1-" + some(d, HEX, 64),
    "hugging face": lambda d: "hf_" + some(d, string.ascii_letters, 34),
    "slack bot": lambda d: f"xoxb-{some(d, DIGITS, 12)}-{some(d, DIGITS, 13)}-{some(d, ALNUM, 24)}",
    "slack app": lambda d: f"xapp-1-A{some(d, UPPER + DIGITS, 10)}-{some(d, DIGITS, 13)}-{some(d, HEX, 64)}",
    "slack webhook": lambda d: (
        f"https://hooks.slack.com/services/T{some(d, UPPER, 8)}/B{some(d, UPPER, 8)}/" + some(d, ALNUM, 24)
    ),
    "discord webhook": lambda d: f"https://discord.com/api/webhooks/{some(d, '123456789', 18)}/{some(d, ALNUM, 68)}",
    "telegram": lambda d: f"{some(d, '123456789', 10)}:AA{some(d, URL64, 32)}x",
    "google api": lambda d: "AIza" + some(d, URL64, 34) + "x",
    "google client": lambda d: "GOCSPX-" + some(d, URL64, 27) + "x",
    "google access": lambda d: "ya29.a0" + some(d, URL64, 160) + "x",
    "google refresh": lambda d: "1//0" + some(d, URL64, 60) + "x",
    "azure storage": lambda d: (
        f"DefaultEndpointsProtocol=https;AccountName=acme;AccountKey={b64(d, 64)};EndpointSuffix=core.windows.net"
    ),
    "azure bus": lambda d: (
        f"Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey={b64(d, 32)}"
    ),
    "azure sas": lambda d: (
        "https://acme.blob.core.windows.net/c/b?sv=2024-11-04&se=2026-12-01&sr=b&sp=r&sig=" + quote(b64(d, 32), safe="")
    ),
    "entra": lambda d: f"{some(d, ALNUM, 3)}8Q~{some(d, ALNUM + '_.', 33)}a",
    "sendgrid": lambda d: f"SG.{some(d, URL64, 22)}.{some(d, URL64, 42)}x",
    "mailgun": lambda d: "key-" + some(d, HEX, 32),
    "mailchimp": lambda d: f"{some(d, HEX, 32)}-us{d.randrange(1, 22)}",
    "brevo": lambda d: f"xkeysib-{some(d, HEX, 64)}-{some(d, ALNUM, 16)}",
    "twilio": lambda d: "SK" + some(d, HEX, 32),
    "digitalocean": lambda d: d.choice(("dop_v1_", "doo_v1_", "dor_v1_")) + some(d, HEX, 64),
    "shopify": lambda d: d.choice(("shpat_", "shpca_", "shppa_", "shpss_")) + some(d, HEX, 32),
    "square": lambda d: "sq0csp-" + some(d, URL64, 42) + "x",
    "square token": lambda d: "EAAA" + mixed(d, URL64, 59) + "x",
    "linear": lambda d: "lin_api_" + some(d, ALNUM, 40),
    "sentry org": lambda d: (
        "sntrys_"
        + pack({"iat": d.randrange(10**9, 2 * 10**9), "url": "https://sentry.io"}, d)
        + "_"
        + some(d, ALNUM, 43)
    ),
    "sentry user": lambda d: "sntryu_" + some(d, HEX, 64),
    "notion": lambda d: "ntn_" + some(d, DIGITS, 11) + some(d, ALNUM, 35),
    "supabase": lambda d: "sbp_" + some(d, HEX, 40),
    "databricks": lambda d: "dapi" + some(d, HEX, 32),
    "new relic": lambda d: "NRAK-" + some(d, UPPER + DIGITS, 27),
    "doppler": lambda d: "dp.pt." + some(d, ALNUM, 43),
    "atlassian": lambda d: "ATATT3xFfGF0" + mixed(d, URL64, 170) + "=" + some(d, HEX.upper(), 8),
    "figma": lambda d: "figd_" + some(d, URL64, 39) + "x",
    "postman": lambda d: f"PMAK-{some(d, HEX, 24)}-{some(d, HEX, 34)}",
    "planetscale": lambda d: "pscale_tkn_" + some(d, ALNUM, 43),
    "grafana": lambda d: f"glsa_{mixed(d, ALNUM, 32)}_{some(d, HEX, 8)}",
    "vault": lambda d: "hvs." + some(d, ALNUM, 95),
    "airtable": lambda d: f"pat{some(d, ALNUM, 14)}.{some(d, HEX, 64)}",
    "hubspot": lambda d: f"pat-na1-{uuid.UUID(int=d.getrandbits(128))}",
    "groq": lambda d: "gsk_" + some(d, ALNUM, 52),
    "replicate": lambda d: "r8_" + some(d, ALNUM, 37),
    "terraform": lambda d: f"{some(d, ALNUM, 14)}.atlasv1.{some(d, ALNUM, 67)}",
    "bearer": lambda d: f"Bearer {mixed(d, URL64, d.randrange(20, 80))}x",
    "basic": lambda d: (
        "Basic " + base64.b64encode(f"{d.choice(('kim', 'alex'))}:{some(d, ALNUM, 9)}".encode()).decode()
    ),
    "jwt": lambda d: (
        f"{pack({'alg': 'RS256', 'kid': some(d, HEX, 8)}, d)}.{pack({'sub': some(d, DIGITS, 7)}, d)}."
        + some(d, URL64, 85)
        + "x"
    ),
    "dsn": lambda d: (
        f"{d.choice(('postgres', 'mysql', 'amqp', 'redis', 'mongodb+srv'))}://app:{some(d, ALNUM, 14)}@db.acme.io/x"
    ),
}
"""What is given out → one as its documentation describes it."""


def b64(dice: random.Random, n: int) -> str:
    return base64.b64encode(dice.randbytes(n)).decode()


def pack(value: dict[str, object], dice: random.Random) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
