"""JSON that tries parsers: what is none, what is odd but valid, and what parsers disagree on.

Most stands where an unknown member's value would, because a parser that skips it must still see whether it is JSON.
"""

from __future__ import annotations


def member(value: bytes) -> bytes:
    """Return a request with *value* as that of an unknown member."""
    return b'{"resourceLogs":[],"x":' + value + b"}"


# fmt: off
_NOT_VALUES: dict[str, bytes] = {
    # numbers
    "leading plus": b"+1", "leading zero": b"012", "leading zero, negative": b"-012", "only minus": b"-",
    "two minus": b"--1", "minus space": b"- 1", "leading point": b".5", "trailing point": b"5.",
    "point only": b".", "minus point": b"-.5", "exponent only": b"e5", "empty exponent": b"1e",
    "exponent sign": b"1e+",
    "exponent twice": b"1e2e3", "exponent of a fraction": b"1e1.5", "point then exponent": b"1.e5",
    "two points": b"1.2.3",
    "hexadecimal": b"0x1F", "octal": b"0o17", "binary": b"0b1", "underscore": b"1_000", "comma in number": b"1,000",
    "NaN": b"NaN", "nan": b"nan", "Infinity": b"Infinity", "minus Infinity": b"-Infinity", "inf": b"inf",
    "letter behind": b"1a", "space inside": b"1 2", "wide digit": "\uff11".encode(),
    "arabic digit": "\u0661".encode(),
    "long suffix": b"1L", "currency": b"$1", "percent": b"1%", "fraction": b"1/2", "minus zero x": b"-0x1",
    # literals
    "True": b"True", "TRUE": b"TRUE", "False": b"False", "None": b"None", "nil": b"nil", "undefined": b"undefined",
    "tru": b"tru", "nul": b"nul", "fals": b"fals", "truee": b"truee", "nulll": b"nulll", "bare word": b"abc",
    "yes": b"yes", "function": b"function(){}", "date": b"new Date(0)", "regex": b"/a/", "symbol": b"@", "hash": b"#",
    # strings
    "single quotes": b"'a'", "backticks": b"`a`", "typographic quotes": "\u201ca\u201d".encode(),
    "open string": b'"a',
    "quote behind": b'a"', "raw newline": b'"a\nb"', "raw tab": b'"a\tb"', "raw NUL": b'"a\0b"',
    "raw escape": b'"\x1b"',
    "raw carriage return": b'"\r"', "bad escape": b'"\\x41"', "escaped a": b'"\\a"', "escaped quote only": b'"\\"',
    "escaped zero": b'"\\0"', "escaped digit": b'"\\1"', "escaped space": b'"\\ "', "escaped capital": b'"\\N"',
    "short unicode": b'"\\u12"', "no hex": b'"\\uZZZZ"', "unicode braces": b'"\\u{41}"',
    "capital U": b'"\\U00000041"',
    "percent u": b'"\\%u0041"', "three digits": b'"\\u00A"', "escape at the end": b'"\\',
    "unicode at the end": b'"\\u',
    "adjacent strings": b'"a" "b"', "concatenation": b'"a"+"b"', "triple quotes": b'"""a"""', "bytes prefix": b'b"a"',
    # bytes that are not UTF-8, where no text is
    "bare 0xff": b"\xff", "UTF-16 inside": "\u00e9".encode("utf-16"),
    # arrays
    "open array": b"[", "open array with value": b"[1", "array comma": b"[1,]", "leading comma": b"[,1]",
    "two commas": b"[1,,2]", "only comma": b"[,]", "missing comma": b"[1 2]", "closing alone": b"]",
    "closing twice": b"[]]",
    "wrong closing": b"[1}", "semicolon": b"[1;2]", "colon in array": b"[1:2]", "elision": b"[1, , 2]",
    "comment in array": b"[1/*a*/]", "spread": b"[...a]", "star": b"[*]", "angle": b"<1>", "round": b"(1)",
    # objects
    "open object": b"{", "open member": b'{"a"', "no value": b'{"a":', "no colon": b'{"a" 1}', "no key": b"{:1}",
    "equals": b'{"a"=1}', "arrow": b'{"a"=>1}', "bare key": b"{a:1}", "number key": b"{1:1}", "null key": b"{null:1}",
    "single-quoted key": b"{'a':1}", "object comma": b'{"a":1,}', "object leading comma": b'{,"a":1}',
    "object two commas": b'{"a":1,,"b":2}', "object missing comma": b'{"a":1 "b":2}', "two colons": b'{"a"::1}',
    "object wrong closing": b'{"a":1]', "array as key": b"{[]:1}", "object in object": b"{{}}",
    "value only": b'{"a"}',
    "nested open": b'{"a":{"b":{}', "comment in object": b'{/*a*/"a":1}', "line comment": b'{"a":1//x\n}',
    "hash comment": b'{"a":1#x\n}', "key twice, second cut": b'{"a":1,"a"}', "trailing word": b'{"a":1}x',
    # white space that is none
    "no-break space": b"\xc2\xa01", "vertical tab": b"\x0b1", "form feed": b"\x0c1",
    "line separator": b"\xe2\x80\xa81",
    "zero width space": b"\xe2\x80\x8b1", "backspace": b"\x081", "next line": b"\xc2\x851", "NUL before": b"\x001",
    "escape outside": b"\\u00201",
}

_NOT_DOCUMENTS: dict[str, bytes] = {
    "nothing": b"", "space": b" ", "newline": b"\n",
    "mark alone": b"\xef\xbb\xbf",
    "UTF-16": "{}".encode("utf-16"), "UTF-16 without mark": "{}".encode("utf-16-le"), "UTF-32": "{}".encode("utf-32"),
    "open": b"{", "close": b"}", "close open": b"}{", "two documents": b"{}{}", "two with newline": b"{}\n{}",
    "comma behind": b"{},", "garbage behind": b"{} x", "NUL behind": b"{}\0", "comment behind": b"{}//",
    "dot": b"{}.",
    "comment before": b"/**/{}", "number": b"1", "string": b'"a"', "true": b"true", "null": b"null", "array": b"[]",
    "array of objects": b"[{}]", "array of requests": b'[{"resourceLogs":[]}]',
    "single quotes": b"{'resourceLogs':[]}",
    "JavaScript": b"{resourceLogs:[]}", "JSONP": b"callback({})", "XSSI prefix": b")]}',\n{}", "XML": b"<a/>",
    "YAML": b"resourceLogs: []", "form": b"resourceLogs=%5B%5D", "query": b"a=1&b=2", "CSV": b"a,b\n1,2",
    "HTML": b"<!doctype html>",
    "record separator": b"\x1e{}", "length prefix": b"2:{}", "assignment": b"a={}", "parentheses": b"({})",
    "protobuf": b"\x0a\x02\x12\x00", "gzip": b"\x1f\x8b\x08\x00", "emoji": "\U0001f980".encode(), "0xff": b"\xff",
    "MessagePack": b"\x81\xacresourceLogs\x90", "CBOR": b"\xa1\x6cresourceLogs\x80", "BSON": b"\x05\x00\x00\x00\x00",
    "half a request": b'{"resourceLogs":[{"resource":{"attributes":[{"key":"a"', "deep": b"[" * 50_000,
    "deep objects": b'{"a":' * 50_000, "deep, closed": b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
}
# fmt: on

REFUSED: dict[str, bytes] = {
    **{f"value: {name}": member(value) for name, value in _NOT_VALUES.items()},
    **{f"document: {name}": body for name, body in _NOT_DOCUMENTS.items()},
}

# fmt: off
_VALUES: dict[str, bytes] = {
    "zero": b"0", "minus zero": b"-0", "minus zero point": b"-0.0", "fraction": b"1.5", "exponent": b"1E5",
    "plus exponent": b"1e+5", "minus exponent": b"1e-5", "zero exponent": b"0e0", "long fraction": b"0." + b"1" * 500,
    "tiny": b"1e-300", "64 bits": b"18446744073709551615", "more than 64 bits": b"18446744073709551616",
    "negative 64 bits": b"-9223372036854775808", "true": b"true", "false": b"false", "null": b"null",
    "empty string": b'""', "all escapes": b'"\\"\\\\\\/\\b\\f\\n\\r\\t"', "unicode escape": b'"\\u00e9"',
    "pair escape": b'"\\ud83d\\ude00"', "escaped NUL": b'"\\u0000"', "escaped control": b'"\\u001b"',
    "delete": b'"\x7f"', "two bytes": '"\u00e9"'.encode(), "three bytes": '"\u20ac"'.encode(),
    "four bytes": '"\U0001f980"'.encode(), "last character": '"\U0010ffff"'.encode(),
    "noncharacter": '"\uffff"'.encode(),
    "mark inside": '"\ufeff"'.encode(), "line separators": '"\u2028\u2029"'.encode(),
    "right to left": '"\u202e"'.encode(),
    "long string": b'"' + b"x" * 100_000 + b'"', "empty array": b"[]", "nested arrays": b"[[[[]]]]",
    "mixed": b'[1,"a",null,{}]',
    "spaces": b" [ 1 , 2 ] ", "tabs and newlines": b"\t[\r\n1\n]\t", "empty object": b"{}", "empty key": b'{"":1}',
    "key twice": b'{"a":1,"a":2}', "escaped key": b'{"\\u0061":1}', "long key": b'{"' + b"k" * 10_000 + b'":1}',
    "many members": b"{" + b",".join(b'"k%d":%d' % (i, i) for i in range(1_000)) + b"}",
    "100 deep": b"[" * 100 + b"]" * 100,
    "prototype": b'{"__proto__":{"a":1},"constructor":1}', "type": b'{"@type":"type.googleapis.com/x"}',
    # text that is not Unicode
    "lone continuation": b'"\x80"', "cut sequence": b'"\xe2\x82"', "overlong slash": b'"\xc0\xaf"',
    "overlong NUL": b'"\xc0\x80"', "five bytes": b'"\xf8\x88\x80\x80\x80"', "beyond Unicode": b'"\xf4\x90\x80\x80"',
    "encoded surrogate": b'"\xed\xa0\x80"', "encoded pair": b'"\xed\xa0\xbd\xed\xb8\x80"', "Latin-1": b'"\xe9"',
    "0xff": b'"\xff"', "0xfe": b'"\xfe\xff"', "Latin-1 key": b'{"\xe9":1}',
    "lone high surrogate": b'"\\ud800"', "lone low surrogate": b'"\\udc00"', "high twice": b'"\\ud800\\ud800"',
    "surrogates swapped": b'"\\udc00\\ud800"', "high then text": b'"\\ud800abc"',
    "surrogate as key": b'{"\\ud800":1}',
    "JSON in a string": b'"{\\"resourceLogs\\":[{}]}"', "solidus": b'"</script>"', "single quote": b'"\'"',
}
# fmt: on

ACCEPTED: dict[str, bytes] = {
    **{f"value: {name}": member(value) for name, value in _VALUES.items()},
    "empty object": b"{}",
    "spaces around": b" \t\r\n{} \t\r\n",
    "byte order mark": b"\xef\xbb\xbf{}",
    "an unknown member": b'{"x":1}',
}

# fmt: off
EITHER: dict[str, bytes] = {
    name: member(value)
    for name, value in {
        "huge exponent": b"1e999", "huge negative exponent": b"-1e999", "tiny exponent": b"1e-999",
        "long number": b"1" * 5_000, "1,000 deep": b"[" * 1_000 + b"]" * 1_000,
    }.items()
}
# fmt: on
