"""Texts that break what is careless about text: stored and read back, each must be what was sent, to the byte."""

# ruff: noqa: RUF001 -- what looks like something else is here on purpose

from __future__ import annotations

_CONTROL = [chr(n) for n in (*range(32), 127)]
_C1 = [chr(n) for n in range(0x80, 0xA0, 3)]
_BIDI = [
    "\u202eevil\u202c",
    "\u202d\u202eabc",
    "a\u200fb",
    "\u2066isolated\u2069",
    "\u2067rtl\u2069",
    "\u061cmark",
    "שלום",
    "مرحبا",
    "abc אבג 123",
    "\u05d0\u0301",
]
# fmt: off
_INVISIBLE = [
    "\u200b", "a\u200bb", "\u200c", "\u200d", "\u2060", "\ufeff", "\ufeffabc", "\u00ad", "\u034f", "\u115f",
    "\u3164",
    "\u180e", "\u00a0", "\u2007", "\u3000", "\u2028", "\u2029", "\u0085", " ", "  ", " leading", "trailing ",
    "\t", "\r\n",
]
# fmt: on
# fmt: off
_COMBINING = [
    "e\u0301", "\u00e9", "Z" + "\u0334\u0321\u0319" * 20 + "a" + "\u0300\u0301\u0302" * 20, "\u0301alone",
    "a" + "\u0300" * 500,
    "\u1112\u1161\u11ab", "한", "ﷺ", "ﬁ", "ǅ", "İ", "ı", "ß", "ſ", "Ω", "\u2126", "ñ", "n\u0303",
]
# fmt: on
# fmt: off
_EMOJI = [
    "\U0001f980", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "1\ufe0f\u20e3",
    "\u2764\ufe0f",
    "\U0001f44d\U0001f3fd", "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", "\U0001d518",
    "\U0010ffff", "\U00020000", "\ue000", "\uffff", "\ufffe", "\ufffd", "\U000f0000", "\U0001f600" * 200,
]
# fmt: on
_SCRIPTS = ["日本語", "中文測試", "ไทย", "हिन्दी", "Ελληνικά", "Русский", "ქართული", "አማርኛ", "ᚠᚢᚦ", "𓀀𓀁", "𐎀", "߷"]
# fmt: off
_SQL = [
    "'; DROP TABLE logs; --", "' OR '1'='1", '" OR ""="', "1; SELECT 1", "') UNION SELECT * FROM runs --",
    "\\'; --",
    "'||(SELECT 1)||'", "$$; DROP TABLE runs $$", "read_csv('/etc/passwd')", "ATTACH 'x' AS y", "%' --", "_%_",
    "/* comment */", "x'; COPY logs TO '/tmp/x'; --", "NULL", "null", "'", "''", '"', "`", ";", "--", "?", "$1",
    ":name",
]
# fmt: on
# fmt: off
_MARKUP = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "javascript:alert(1)", "<svg/onload=alert(1)>",
    "&lt;b&gt;",
    "&#x3c;", "<!--", "-->", "]]>", "<![CDATA[", "<?xml version='1.0'?>", "<!DOCTYPE a [<!ENTITY b 'c'>]>",
    "{{7*7}}", "${7*7}",
    "<%= 7*7 %>", "#{7*7}", "[link](javascript:alert(1))", "![image](http://x.example/y.png)", "# heading",
    "| a | b |",
    "$latex$", ":red[text]", ":material/home:", "**bold**", "~~no~~", "</style>", "</textarea>", "{% raw %}",
    "@import 'x'",
]
# fmt: on
_CSV = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "=cmd|' /C calc'!A0",
    "\t=1",
    "\r=1",
    "\uff1d1+1",
    "a,b",
    'a"b',
    "a\nb",
    "a;b",
    "0x10",
]
_FORMAT = [
    "%s%s%s%n",
    "%x" * 20,
    "{0}",
    "{self.__class__}",
    "{}",
    "%(name)s",
    "%d",
    "\\x41",
    "\\u0041",
    "\\",
    "\\\\",
    "\\n",
]
# fmt: off
_TERMINAL = [
    "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b[2J\x1b[H", "\x9b31m",
    "\x1b]8;;http://x.example\x1b\\link\x1b]8;;\x1b\\",
    "a\rb", "a\bb", "\x07", "\x1bc", "\x1b[6n", "line\nforged 2026-01-01 ERROR", "\x0e\x0f",
]
# fmt: on
_PATHS = [
    "../../etc/passwd",
    "..\\..\\x",
    "/dev/null",
    "C:\\x",
    "CON",
    "file:///etc/passwd",
    "~",
    "$(id)",
    "`id`",
    "a;id",
    "|id",
]
_NUMBERS = [
    "0",
    "-0",
    "1e999",
    "NaN",
    "Infinity",
    "9" * 400,
    "0.1",
    "1_000",
    "0x1F",
    "１２３",
    "٣",
    "½",
    "Ⅷ",
    "true",
    "None",
]
_JSON = ['{"a":1}', "[1,2", '\\"', '{"intValue":"1"}', "\\ud800", "\\u0000", '{"stringValue":"x"}', "//", "/**/"]
_EDGES = [
    "",
    "a" * 255,
    "b" * 256,
    "c" * 257,
    "\0",
    "a\0b",
    "\0\0\0",
    "x" * 65_536,
    "_started",
    "a_calling_",
    "A_COMPLETED",
]

# fmt: off
TEXTS: tuple[str, ...] = tuple(
    dict.fromkeys(
        [
            *_CONTROL, *_C1, *_BIDI, *_INVISIBLE, *_COMBINING, *_EMOJI, *_SCRIPTS, *_SQL, *_MARKUP, *_CSV, *_FORMAT,
            *_TERMINAL, *_PATHS, *_NUMBERS, *_JSON, *_EDGES,
        ]
    )
)
# fmt: on
