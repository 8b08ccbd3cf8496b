"""The shapes of keys that vendors give out, as their documentation has them: what they begin with, and what follows.

`LEADS` at the beginning of a word and `MIDDLES` anywhere let through all that `keys` finds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_B62, _URL, _HEX = "[A-Za-z0-9]", "[A-Za-z0-9_-]", "[a-f0-9]"

# fmt: off
_SHAPES: tuple[tuple[str, str], ...] = (
    ("AKIA|ASIA|ABIA|ACCA", "[0-9A-Z]{16}"),                                                # AWS
    ("ABSK", "[A-Za-z0-9+/]{100,270}={0,2}"),                                               # AWS Bedrock
    ("LTAI", f"{_B62}{{12,24}}"),                                                           # Alibaba Cloud
    ("gh[pousr]_", f"{_B62}{{36,255}}"),                                                    # GitHub
    ("github_pat_", "[A-Za-z0-9_]{22,255}"),
    ("gl(?:pat|dt|rt|rtr|ptt|cbt|ft|ffct|imt|agent|oas|soat)-", "[A-Za-z0-9_.-]{20,300}"),  # GitLab
    ("GR1348941", f"{_URL}{{20}}"),
    ("npm_", f"{_B62}{{36}}"),
    ("pypi-AgE", f"{_URL}{{16,1000}}"),
    ("rubygems_", f"{_HEX}{{48}}"),
    ("dckr_[po]at_", f"{_URL}{{20,64}}"),                                                   # Docker
    ("(?:sk|rk)_(?:live|test|prod)_", f"{_B62}{{16,255}}"),                                 # Stripe, Clerk
    ("whsec_", "[A-Za-z0-9+/]{24,255}={0,2}"),
    ("tr_(?:dev|prod|stg|preview|pat|oat)_", f"{_B62}{{16,64}}"),                           # Trigger.dev
    ("sk-", f"(?=[A-Za-z_-]{{0,60}}[0-9])(?=[a-z0-9_-]{{0,60}}[A-Z]|[a-z0-9-]{{0,12}}{_HEX}{{32}}){_URL}{{20,255}}"),
    ("pplx-|gsk_|xai-|r8_[A-Za-z0-9]{8}|sgp_", f"{_B62}{{29,84}}"),                          # makers of language models
    ("hf_|api_org_", f"{_B62}{{30,50}}"),                                                   # Hugging Face
    ("xox[abeoprs][-.]", "[A-Za-z0-9.-]{10,255}"),                                          # Slack
    ("xapp-", r"[0-9]-[A-Z0-9]{6,16}-[0-9]{6,16}-[a-z0-9]{16,80}"),
    (r"hooks\.slack\.com/(?:services|workflows|triggers)/", "[A-Za-z0-9]{6,14}/[A-Za-z0-9]{6,14}/[A-Za-z0-9/]{8,64}"),
    (r"discord(?:app)?\.com/api/(?:v[0-9]{1,2}/)?webhooks/", f"[0-9]{{17,20}}/{_URL}{{60,70}}"),
    (r"hooks\.zapier\.com/hooks/catch/", "[0-9]{4,10}/[a-z0-9]{6,12}"),
    ("AIza", f"{_URL}{{35}}"),                                                              # Google
    ("GOCSPX-", f"{_URL}{{24,32}}"),
    (r"ya29\.", r"[A-Za-z0-9_.-]{20,1024}"),
    ("1//0", f"{_URL}{{38,128}}"),
    ("GOOG1?E?", "(?=[0-9A-Z]{0,40}[0-9])[0-9A-Z]{20,60}"),
    (r"SG\.", r"[A-Za-z0-9_-]{16,40}\.[A-Za-z0-9_-]{16,64}"),                               # SendGrid
    ("x(?:keysib|smtpsib)-", f"{_HEX}{{64}}-{_B62}{{16}}"),                                 # Brevo
    ("key-[0-9a-f]{8}", "[0-9a-f]{24}"),                                                               # Mailgun
    ("do[opr]_v1_", f"{_HEX}{{64}}"),                                                       # DigitalOcean
    ("shp(?:at|ca|pa|ss|tka|rka)_", "[a-fA-F0-9]{32}"),                                     # Shopify
    ("sq0(?:csp|atp)-", f"{_URL}{{22,64}}"),                                                # Square
    ("EAA", f"(?={_URL}{{0,60}}[0-9])(?={_URL}{{0,60}}[a-z]){_URL}{{57,300}}"),             # Square, Meta
    ("lin_(?:api|oauth|wh)_", f"{_B62}{{32,64}}"),                                          # Linear
    ("sntrys_|sntryu_|sntryi_", r"[A-Za-z0-9+/=_-]{32,600}"),                               # Sentry
    ("ntn_", "[0-9]{8,14}[A-Za-z0-9]{30,40}"),                                              # Notion
    ("secret_[A-Za-z0-9]{16}", f"{_B62}{{27}}"),
    ("vc[acikpr]_", f"(?={_B62}{{0,24}}[0-9]){_B62}{{24,100}}"),                            # Vercel
    ("sbp_", "(?:oauth_)?[a-f0-9]{40}"),                                                    # Supabase
    ("sb_secret_", f"{_URL}{{20,64}}"),
    ("nfp_", f"{_B62}{{36,64}}"),                                                           # Netlify
    ("fo1_", f"{_URL}{{43}}"),                                                              # Fly.io
    ("fm[12][ar]?_", "[A-Za-z0-9+/]{100,1024}={0,3}"),
    ("HRKU-", f"{_URL}{{36,64}}"),                                                          # Heroku
    ("rnd_", f"{_B62}{{28,40}}"),                                                           # Render
    ("SK[0-9a-f]{8}", "[0-9a-f]{24}"),                                                                 # Twilio
    ("dapi", "[a-f0-9]{32}(?:-[0-9])?"),                                                    # Databricks
    ("NRAK-|NRII-", "[A-Za-z0-9_-]{27,32}"),                                                # New Relic
    (r"dp\.(?:pt|st|ct|sa|scim|audit)\.", r"(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,44}"),    # Doppler
    ("ATATT3|ATCTT3|ATBB", "[A-Za-z0-9_=-]{24,400}"),                                       # Atlassian
    ("fig[duo]_?[dhr]?_", f"{_URL}{{40,64}}"),                                              # Figma
    ("PMAK-", f"{_HEX}{{24}}-{_HEX}{{34}}"),                                                # Postman
    ("pul-", f"{_HEX}{{40}}"),                                                              # Pulumi
    ("pscale_(?:tkn|pw|oauth)_", r"[A-Za-z0-9_.=-]{32,64}"),                                # PlanetScale
    ("pn[ub]_", f"{_B62}{{36}}"),                                                           # Prefect
    ("gls?[ac]_", "(?=[A-Za-z_]{0,60}[0-9])[A-Za-z0-9+/_]{32,400}={0,3}"),                  # Grafana
    ("eyJrIjoi", f"{_B62}{{60,400}}={{0,2}}"),
    (r"hv[sbr]\.", f"{_URL}{{24,300}}"),                                                    # HashiCorp
    (r"dt0[a-z][0-9]{2}\.", r"[A-Z0-9]{24}\.[A-Z0-9]{64}"),                                 # Dynatrace
    ("AGE-SECRET-KEY-1", "[0-9A-Z]{58}"),
    ("ops_eyJ", "[A-Za-z0-9+/_-]{100,2048}"),                                               # 1Password
    ("AKCp|cmVmd", f"{_B62}{{59,70}}"),                                                     # Artifactory
    ("sq[uap]_", f"{_HEX}{{40}}"),                                                          # Sonar
    ("phx_|phs_", f"{_B62}{{32,64}}"),                                                      # PostHog
    ("lsv2_(?:pt|sk)_", "[a-f0-9]{32}_[a-f0-9]{10}"),                                       # LangSmith
    ("pylf_v[0-9]_", "(?:[a-z]{2}_)?[A-Za-z0-9]{32,64}"),                                   # Logfire
    ("pcsk_", "[A-Za-z0-9_]{40,90}"),                                                       # Pinecone
    ("CCIPAT_|CFPAT-|bkua_|tfp_|nvapi-|rpa_|napi_|cal_live_|fio-u-", f"{_URL}{{32,100}}"),
    ("tskey-(?:auth|api|client|scim|webhook)-", "[A-Za-z0-9]{6,20}-[A-Za-z0-9]{16,48}"),    # Tailscale
    ("signkey-(?:prod|test|branch)-", f"{_HEX}{{32,64}}"),                                  # Inngest
    ("shippo_(?:live|test)_|duffel_(?:live|test)_|EZ[AT]K", f"{_URL}{{40,58}}"),
    ("FLWSECK(?:_TEST)?-", "[a-zA-Z0-9]{12,32}(?:-X)?"),                                    # Flutterwave
    (r"access_token\$(?:production|sandbox)\$", r"[a-z0-9]{16}\$[a-f0-9]{32}"),             # Braintree
    ("access-(?:sandbox|development|production)-", "[a-f0-9]{8}-(?:[a-f0-9]{4}-){3}[a-f0-9]{12}"),  # Plaid
    ("pat-(?:na|eu|ap)[0-9]-", "[a-f0-9]{8}-(?:[a-f0-9]{4}-){3}[a-f0-9]{12}"),              # HubSpot
    (r"pat[A-Za-z0-9]{14}\.", f"{_HEX}{{64}}"),                                             # Airtable
    ("API-", "(?=[A-Z]{0,26}[0-9])[A-Z0-9]{26}"),                                           # Octopus Deploy
    ("(?:M[DTjz]|N[DTjz]|O[DT])[A-Za-z0-9_-]{22,26}\\.", f"{_URL}{{6}}\\.{_URL}{{27,40}}"),      # Discord
    ("sha256~", f"{_URL}{{43}}"),                                                           # OpenShift
    (r"sk\.eyJ", r"[A-Za-z0-9_-]{20,400}\.[A-Za-z0-9_-]{16,64}"),                           # Mapbox
)
# fmt: on
"""What each begins with, and what follows to its end."""
_INNER: tuple[tuple[str, str, str], ...] = (
    (r"(?<![0-9A-Za-z])[0-9]{8,10}", ":AA", f"{_URL}{{33}}(?![A-Za-z0-9_-])"),  # Telegram
    ("(?<![0-9A-Za-z])[0-9a-f]{32}", "-us", "[0-9]{1,2}(?![0-9A-Za-z])"),  # Mailchimp
    ("(?<![A-Za-z0-9])[A-Za-z0-9]{14}", ".atlasv1.", f"{_URL}{{60,72}}"),  # Terraform
    ("(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.]{3}[0-9]", "Q~", "[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~-])"),  # Microsoft Entra
    ("(?<![A-Za-z0-9])", "sig=", "(?=[A-Za-z+/]{0,43}[0-9])[A-Za-z0-9+/]{43}="),  # Azure's signed URLs
    ("(?<![A-Za-z0-9])[0-9a-f]{36}", "NRAL", "(?![A-Za-z0-9])"),  # New Relic
)
"""Those that are known by something in their middle: what comes before it, it, and what follows."""

_END = "(?![A-Za-z0-9])"
_LED = re.compile(f"(?<![A-Za-z0-9_-])(?:{'|'.join(f'(?:{lead}){rest}' for lead, rest in _SHAPES)}){_END}")
_KNOWN_BY = tuple((middle, re.compile(before + re.escape(middle) + after)) for before, middle, after in _INNER)
LEADS = "|".join(lead for lead, _ in _SHAPES)
MIDDLES = "|".join(re.escape(middle) for _, middle, _ in _INNER)


def keys(text: str) -> Iterator[re.Match[str]]:
    """Yield what has the shape of a vendor's key in *text*."""
    yield from _LED.finditer(text)
    for middle, pattern in _KNOWN_BY:
        if middle in text:
            yield from pattern.finditer(text)
