r"""How a text of an error is read: what is kept in it because it says what happened, and what is a value.

Tables alone, which `error_groups` puts together. The text is one line, its blanks are single spaces.

An engine without backtracking pays by the character for Unicode's classes, its `\b`, and for what is counted (`{9,}`).
So all that is not ASCII is a letter, but for some signs, and `\b` is ASCII's: a word is read whole, so what stands
after `\b` begins one.
"""

from __future__ import annotations

# ruff: noqa: E501, RUF001 -- tables of words, and signs that look like others

VALUE = "<value>"
"""What stands for a value."""

_SIGNS = "“”„«»「」『』‘’‚…–—−·×№€£¥±≈，。：；、（）！？→←"
_L = rf"A-Za-z_$[^\x00-\x7f{_SIGNS}]"
_W = rf"{_L}0-9"
_B = r"(?-u:\b)"
# fmt: off
_ENDS = "(?:Error|Exception|Failure|Fault|Timeout|Violation|Warning|Interrupt|Exit)"
_UNIT = (
    "(?:%|[kKMGTP]?i?B|[kKMGTP]b|(?:[kK]ilo|[mM]ega|[gG]iga|[tT]era)?[bB]ytes?|[nµμum]?s|(?:nano|micro|milli)?sec(?:ond)?s?|millis|msecs?"
    "|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?|months?|years?|[AaPp][Mm]|UTC|GMT|CES?T|[EP][SD]T)"
)
_STRONG = (
    "com|net|org|io|dev|ai|edu|gov|mil|cloud|internal|local|localdomain|lan|corp|intranet|svc|xyz|example|invalid|uk|de|fr|eu|ch|nl|jp|cn"
    "|ru|br|au|kr"
)
"""How names of hosts end, and hardly anything else with a dot in it."""
_WEAK = "app|co|info|biz|me|tv|us|at|it|es|se|no|fi|dk|pl|cz|in|ca|sh|gg|so|to|tech|online|site|store|test|cluster"
"""How those end that have a dot more."""
_SERVICE = (
    "[a-z-]*(?:localhost|redis|postgres|mysql|maria|mongo|kafka|rabbit|elastic|memcache|db|cache|server|host|svc|proxy|broker|api)[a-z-]*"
)
_FILE = (
    "(?:pdf|csv|tsv|jsonl?|ya?ml|xml|txt|log|md|html?|png|jpe?g|gif|webp|svg|bmp|tiff?|mp3|mp4|wav|mov|avi|webm|docx?|xlsx?|pptx?|zip|gz|tgz"
    "|tar|bz2|xz|zst|7z|parquet|sqlite|db|pem|crt|key|py|rb|go|rs|java|php|[cm]?[jt]sx?|sql|sh|ini|toml|conf|env|lock|dll|exe|bin|dat|bak"
    "|tmp|ics|eml)"
)
_MONTH = (
    "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?"
    "|Dec(?:ember)?)"
)
_DAY = "(?:Mon(?:day)?|Tue(?:s(?:day)?)?|Wed(?:nesday)?|Thu(?:rs(?:day)?)?|Fri(?:day)?|Sat(?:urday)?|Sun(?:day)?)"
_HTTP = "(?:40[0-689]|41[0-3578]|42[2-69]|451|50[0-5]|511|52[0-6]|530)"
"""HTTP's statuses of failures: a number that is one of them and stands where a status may stand is taken for one."""
_REASON = (
    "(?:301 moved permanently|302 found|400 bad request|401 unauthori[sz]ed|402 payment required|403 forbidden|404 not found"
    "|405 method not allowed|406 not acceptable|408 request timeout|409 conflict|410 gone|412 precondition failed"
    "|413 (?:payload|content|request entity) too large|415 unsupported media type|422 unprocessable|423 locked|425 too early"
    "|429 too many requests|500 internal(?: server)? error|501 not implemented|502 bad gateway|503 service (?:unavailable|temporarily)"
    f"|504 gateway time-?out|[45][0-9][0-9] (?:client|server) error|{_HTTP} (?:error|status|response))"
)
_TECHNICAL = (
    "utf-?(?:8|16|32)|utf8mb[34]|latin-?1|cp125[0-9]|iso-8859-[0-9]{1,2}|base(?:16|32|58|64)(?:url)?|md[45]|sha-?(?:1|2|3|224|256|384|512)"
    r"|hs(?:256|384|512)|[er]s256|aes-?(?:128|192|256)|ed25519|x\.?509|p256|pkcs[0-9]{1,2}|oauth ?2(?:\.0)?|ipv[46]|http/?[123](?:\.[01])?"
    "|h2c?|s3|ec2|k8s|i18n|l10n|tls ?v?1(?:[._][0-3])?|ssl ?v?[23]|u?int(?:2|4|8|16|32|64|128)|float(?:4|8|16|32|64)|[fiu](?:16|32|64)|win32"
    "|x86(?:_64)?|amd64|arm64|web3|es[0-9]{1,2}|python ?[23]|boto3|psycopg[23]?|urllib3|log4j|neo4j|e2e|b2b|p2p|2fa|[2345]xx|mp[34]"
    r"|h26[45]|(?:node|next|vue|three)\.js|socket\.io"
)
"""Words with digits or dots in them that are no values."""
_CODE_OF = (
    "(?:zip|postal|post|promo|coupon|discount|verification|security|pin|access|invite|invitation|country|area|product|tracking|voucher|otp"
    "|auth|confirmation|currency|bar|qr|booking|pass|reference|sms|gift|activation|login|referral|redemption)[ _-]?code"
)
"""Codes of a person or a thing, which are not what happened."""

WHOLE = {
    "quoted": (
        rf'(?:{_B}[bBuUrRfF])?"(?:[^"\\]|\\.)*(?:"|\\?$)|`[^`]*(?:`|$)|“[^”]*(?:”|$)|„[^“”]*(?:[“”]|$)|«[^»]*(?:»|$)|「[^」]*(?:」|$)'
        "|『[^』]*(?:』|$)"
    ),
    "payload": r"\{(?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*\}|\{.*$|(?i-u:<(?:!doctype|html|\?xml)[ >]).*$",
    "list": r"'\[[^\]]*\]'",
    "url": (
        rf"{_B}[A-Za-z][A-Za-z0-9+-]*://[^ \"'<>]*[^ \"'<>).,;:!?\]]|{_B}(?:mailto|data|urn|tel):[^ \"'<>]*[^ \"'<>).,;:!?\]]"
    ),
    "long": r"[A-Za-z0-9+/_=-]{64,}",
}
"""Values that may be long and are met in any place, in the order they are taken out."""
KEPT = {
    "value": VALUE,
    "code of": rf"(?i-u:\b{_CODE_OF}\b)",
    "status": (
        r"(?i-u:\b(?:https?|status(?:[ _-]?(?:code|text))?|response(?:[ _-]?(?:code|status))?|responded(?: with)?"
        "|answered(?: with)?|replied(?: with)?|respond with|error occurred|(?:returned|got|received)(?: an?| the)? (?:http|status|code|error))"
        r"(?: (?:an?|the|is|was|of|http|status|code|error))*[ ]?[:=#(\[]?[:=#(\[]? ?[1-5][0-9][0-9]\b)"
    ),
    "got": rf"(?i-u:\b(?:returned|got|received)(?: an?| the)? {_HTTP}(?:$|[.,;:!)\]}}]| (?:from|for|on|at|by|when|while|instead|but|and)\b))",
    "reason": rf"(?i-u:\b{_REASON}\b)|'(?i-u:{_REASON})[A-Za-z ]*'",
    "failed": (
        rf"(?i-u:(?:[a-z]*(?:error|exception|failed|failure|rejected|fault)|code) ?[:(\[]? ?{_HTTP}(?:$|[-.,;:!)\]}}]| [-:(]| (?:from|for|on|at|by|when|while)\b))"
        rf"|^\(?{_HTTP}(?:\)|, message=| [-:] )"
    ),
    "os": r"(?i-u:\bos error [0-9]{1,5}\b)",
    "code": (
        r"(?i-u:(?:\b(?:(?:error|err|exit|return|result|status|response|sql|vendor|native)[ _-]?code|errno|winerror|hresult|with(?: an?)? code"
        r"|exit(?:ed)?(?: with)?(?: status| code| non-zero)?|signal|sql ?state|ora|tns|pls)|[(\[]code)"
        r"(?: (?:is|was|of))? ?[-:=#(\[]?[-:=#(\[]? ?-?(?:0x[0-9a-f]{1,8}|[0-9]{1,5}|[0-9A-Z]{5})\b"
        r"|\bcode E[0-9]{3}\b|\bcode(?: (?:is|was|of))? ?[:=#(\[][:=#(\[]? ?-?(?:0x[0-9a-f]{1,8}|[0-9]{1,5}|[0-9A-Z]{5})\b)"
    ),
    "mysql": r"(?i-u:\berror [0-9]{3,5}\b(?: \([0-9A-Z]{5}\))?)|^\([0-9]{3,5}, ",
    "vendor": r"(?-u:\b(?:E11[0-9]{3}|P[1-6][0-9]{3}|PGRST[0-9]{3}|TS[0-9]{4,5}|ERR_[A-Z0-9_]+|E2BIG|SSL_[A-Z0-9_]+|0x8[0-9A-Fa-f]{7})\b)",
    "type": rf"{_B}[{_L}](?:[{_W}]|[.:\\][{_L}]|::[{_L}])*{_ENDS}{_B}",
    "class": rf"{_B}(?:[{_L}]+[.\\])+[A-Z][{_L}]*[a-z][{_L}]*",
    "named": rf"(?-u:\b(?:code|status|reason|error|err|type|kind|state|level|method|phase|desc|msg|message)=)[{_L}.]+",
    "technical": rf"(?i-u:\b(?:{_TECHNICAL})\b)",
}
"""What is kept: statuses and codes say what happened (404 is not 503), types and technical words are no values."""
NAMED_HOST = (rf"{_B}(?:ENOTFOUND|EAI_AGAIN|lookup) ", r"(?:[A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+(?::[0-9]+)?")
"""What is followed by the name of a host, and that, whatever it looks like."""
ASSIGNED = (rf"{_B}[{_L}][{_W}.-]*=", r"[^ \"'`,;&()\[\]{}<>=]+")
"""A key, and the value that is written right behind it."""
TAKEN = {
    "quoted": rf"(?:{_B}[bBuUrRfF])?'(?:[^'\\]|\\.|'[{_W}])*(?:'|\\?$)|‘(?:[^’]|’[{_L}])*(?:’|$)",
    "mail": rf"[{_W}.!#%&*+/?^|~-]+@[{_W}-]+(?:\.[{_W}-]+)*",
    "handle": rf"@[{_W}.-]*[{_W}](?:/[{_W}.-]*[{_W}])?",
    "hex": r"(?-u:\b(?:[a-f]{8,}|[A-F]{8,}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})\b)",
    "date": (
        rf"{_B}(?:{_DAY},? )?(?:[0-9]{{1,2}}(?:st|nd|rd|th)?[ -])?{_MONTH}\.?[ -][0-9]{{1,4}}(?:st|nd|rd|th)?,?(?:[ -][0-9]{{4}})?"
        r"(?:,? (?:at )?[0-9]{1,2}:[0-9][0-9](?::[0-9][0-9](?:\.[0-9]+)?)?(?: ?[AP]M)?)?(?: (?:GMT|UTC|Z)(?:[+-][0-9:]+)?| [+-][0-9]{4})?"
        r"(?: \([A-Z][A-Za-z ]+\))?(?: [0-9]{4})?"
    ),
    "ip": r"\[?(?:(?-u:\b)[a-f]*[0-9][0-9a-f]*(?::[0-9a-f]{1,4})*::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*)?|(?-u:\b)[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{0,4}){3,7}|::[0-9a-fA-F]{0,4}(?-u:\b))\]?(?:%[a-z0-9]+)?(?::[0-9]{1,5})?|:::?[0-9]+",
    "path": (
        rf"(?:~|\.\.?|{_B}[A-Za-z]:)?(?:[/\\][/\\]?[{_W}.@%~+-]+)+[/\\]?(?::[0-9]+)*"
        rf"|{_B}(?:[{_W}.@-]+/)*[{_W}-][{_W}.-]*\.(?i-u:{_FILE}\b)(?::[0-9]+)*"
    ),
    "host": (
        rf"(?i-u:\b(?:[a-z0-9_-]+\.)+(?:{_STRONG})\b|\b[a-z0-9_-]+\.(?:[a-z0-9_-]+\.)+(?:{_WEAK})\b|\blocalhost\b|\b{_SERVICE}:[0-9]{{2,5}}\b)"
        "(?::[0-9]{1,5})?"
    ),
    "number": rf"[-+−±~≈#№]?[$€£¥]?{_B}[0-9][0-9,._' ]*(?:[eE][-+]?[0-9]+)? ?{_UNIT}{_B}|[0-9][0-9.,]* ?%",
    "time": r"(?-u:\b)[0-9]{1,4}(?:[:.,/][0-9]{1,6})+(?:Z|[+-][0-9][0-9]:?[0-9][0-9])?(?-u:\b)",
    "token": rf"[-+−±~≈#№]?[$€£¥]?[{_W}.@/+~-]*[0-9](?:[{_W}.@/+~%:-]*[{_W}%])?=*",
    "opaque": (
        r"(?-u:\b[a-z]{2,6}_[A-Za-z]*(?:[a-z][A-Z]|[A-Z][A-Z][a-z])[A-Za-z][A-Za-z][A-Za-z][A-Za-z]+\b)"
        r"|(?-u:\b[A-Za-z]*[a-z][A-Z][A-Z]+[a-z]+[A-Z][A-Za-z]*(?:[a-z][A-Z][A-Z]|[A-Z][a-z][A-Z])[A-Za-z]*\b)"
    ),
}
"""What is a value, where no other was met before."""
WORD = rf"[{_L}]+(?:[/\\'’-]?[{_L}]+)*['’]*"
"""A word: kept, with what is written into it, so that no apostrophe is taken for a quotation."""
COUNTED = (
    "error|row|item|record|argument|attempt|file|time|character|token|element|result|document|message|request|connection|job|worker|value"
    "|column|field|parameter|issue|problem|failure|user|order|test|point|step|page|task|run"
)
"""What is counted, so that one of it is as good as many."""
# fmt: on
