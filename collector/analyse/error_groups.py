"""What happened in an error, apart from whom it happened to: its type and the normal form of its text.

Enter: types and messages as they were sent. Leave: one line for each, in which whatever differs from case to case (ids,
numbers, quoted parts, times, addresses, paths) stands as `<value>`. A pure function of type and text, so a group is
the same in every store and at any time; nothing is learned, so nothing drifts.

A line is read from its beginning by one expression, whose first alternative that fits decides (`error_words`). The
engine is polars', which never goes back in a text, and of each `READ` characters are looked at.
"""

from __future__ import annotations

import polars as pl

from collector.analyse.error_words import ASSIGNED, COUNTED, KEPT, NAMED_HOST, TAKEN, VALUE, WHOLE, WORD

READ = 2_048
"""Characters of a message that are looked at."""
LONGEST = 200
"""Characters of a group at most."""
_LONGEST_TYPE = 80
_FROM, _TO = "\ue000", "\ue001"
"""Around what is kept while a line is read: of nobody's alphabet, and a text's own are left out."""
_HIDDEN = r"\x1b\[[0-9;]*[A-Za-z]|[\p{Cf}\p{Co}\p{Cn}]"
_BLANK = r"[\s\p{Cc}\p{Z}]+"
_OTHER_DIGIT = r"[\p{Nd}--0-9]"
_TYPE = r"[\p{L}_$][\p{L}\p{N}_$]*(?:(?:[.:\\/]{1,2}|<)[\p{L}_$<][\p{L}\p{N}_$>]*)*"
_LAST_NAME = r"([\p{L}\p{N}_$]+)$"

_READ = (
    f"(?P<kept>{'|'.join(KEPT.values())})|(?P<host>{NAMED_HOST[0]}){NAMED_HOST[1]}|(?P<key>{ASSIGNED[0]}){ASSIGNED[1]}"
    f"|{'|'.join(TAKEN.values())}|(?P<word>{WORD})"
)
_WRITTEN = f"${{host}}${{key}}{_FROM}${{kept}}${{word}}{_TO}"
_TRACEBACK = r"(?s)Traceback \(most recent call last\):.*\n([^\s][^\n]*)"
_CAUSE = r"(?s)^.*\n\s*(?:Caused by|\[cause\]): ?([^\n]*)"
_INTRODUCED = r"^[^\r\n]*(?::|invocation in)[ \t]*[\r\n]\s*([^\r\n]+)"
_SOURCE = r"(?s)invocation in[ \t]*[\r\n].*[\r\n]([^\s][^\r\n]*)$"
"""Prisma quotes the lines of source around a call; what happened stands behind them."""
_IN_JSON = (
    r'"(?:message|msg|error_message|errorMessage|error_description|error|detail|reason|title|description)"\s*:\s*'
    r'"((?:[^"\\]|\\.)+)"'
)
_SENTENCE = r"[^{0}\s]+(?:\s+[^{0}\s]+){{2,}}"
"""Three words or more, between two of a kind of quotation mark."""
_CODE_IN_JSON = r'"(?:code|error_code|errorCode|status|type)"\s*:\s*"([A-Za-z_.-]+)"'
_COUNTED = rf"({VALUE}(?: [a-z]+)?(?: [a-z]+)?) ({COUNTED})s(?-u:\b)"


def with_groups(rows: pl.DataFrame) -> pl.DataFrame:
    """Add `error_group` to *rows* by their `error_type` and `error_message`: NULL where both say nothing."""
    read = {"kind": pl.col("error_type").str.head(READ), "text": pl.col("error_message").str.head(READ)}
    # Most errors come often; what is done to a text is done once.
    pairs = rows.select(**read).filter(~pl.all_horizontal(pl.all().is_null())).unique(maintain_order=True)
    if pairs.is_empty():
        return rows.with_columns(error_group=pl.lit(None, pl.String))
    groups = pairs.with_columns(error_group=_group(pairs))
    return rows.join(
        groups, left_on=[*read.values()], right_on=[*read], how="left", nulls_equal=True, maintain_order="left"
    ).drop(*read, strict=False)


def _group(pairs: pl.DataFrame) -> pl.Series:
    """Return the groups of `kind` and `text`, step by step: polars works out twice what an expression has twice."""
    kind = _plain(pairs["kind"])
    is_name = kind.str.contains(f"^{_TYPE}$")
    named = _cut(pl.select(pl.when(is_name).then(kind).otherwise(_normal(kind))).to_series(), _LONGEST_TYPE)
    text = _normal(_telling(_untyped(pairs["text"], kind), kind))
    return _cut(
        pl.select(pl.concat_str([named, text], separator=": ", ignore_nulls=True)).to_series(), LONGEST, empty=True
    )


def _untyped(text: pl.Series, kind: pl.Series) -> pl.Series:
    """Return messages without the type in front of them, as many languages print an error."""
    text = text.str.strip_chars().str.replace(r"^(?:Uncaught|Unhandled exception[.:]) (?:\(in promise\) )?", "")
    first = text.str.extract(rf"^({_TYPE}):(?:\s|$)")
    same = (first == kind) | (first.str.extract(_LAST_NAME) == kind.str.extract(_LAST_NAME))
    return _where(same, text.str.replace(rf"^{_TYPE}:\s*", ""), text)


def _telling(text: pl.Series, kind: pl.Series) -> pl.Series:
    """Return in one line what tells most of a text: its first line, with what that announces and what caused it."""
    introduced = _first(text.str.extract(_SOURCE), text.str.extract(_INTRODUCED))
    line = pl.select(pl.concat_str([text.str.extract(r"^([^\r\n]*)"), introduced], separator=" ", ignore_nulls=True))
    cause = ", caused by " + text.str.extract(_CAUSE).str.strip_chars()
    caused = pl.select(pl.concat_str([line.to_series().str.strip_chars(), cause], ignore_nulls=True)).to_series()
    inside = _first(text.str.extract(_IN_JSON), text.str.extract(_CODE_IN_JSON)).str.replace_all(r"\\.", " ")
    is_json = text.str.contains(r"^[\[\s]*\{")
    line_ = _where(is_json & inside.is_not_null(), inside, _first(text.str.extract(_TRACEBACK), caused))
    # A text that is one quotation tells what is in it, unless that is a key or a name.
    unquoted = _first(*(line_.str.extract(rf"^\s*{quote}({_SENTENCE.format(quote)}){quote}\s*$") for quote in "\"'"))
    return _first(_where(~kind.fill_null("").str.ends_with("KeyError"), unquoted), line_)


def _plain(text: pl.Series) -> pl.Series:
    """Return texts in one line with nothing hidden in it."""
    return text.str.replace_all(_HIDDEN, "").str.replace_all(_BLANK, " ").str.strip_chars()


def _normal(text: pl.Series) -> pl.Series:
    """Return lines with their values taken out, NULL where nothing is left."""
    line = _plain(text).str.replace_all(_OTHER_DIGIT, "0")
    for whole in WHOLE.values():
        line = line.str.replace_all(whole, VALUE)
    read = (
        line.str.replace_all(r"(=|value is )\([^()]*\)", f"${{1}}({VALUE})")
        .str.replace_all(r"(?i-u:https?/[0-9.]+) ", "HTTP ")
        .str.replace_all(_READ, _WRITTEN)
        .str.replace_all(_FROM + _TO, VALUE, literal=True)
        .str.replace_all(f"[{_FROM}{_TO}]", "")
        .str.replace_all(rf"{VALUE}(?: ?(?:[,;|/:x-]|and|or)? ?{VALUE})+", VALUE)
        .str.replace_all(rf"({VALUE} (?:re|en)tr)ies\b", "${1}y")
        .str.replace_all(_COUNTED, "$1 $2")
        .str.replace(r"[ .!,;:]+$", "")
    )
    return _where(read != "", read)


def _cut(text: pl.Series, most: int, *, empty: bool = False) -> pl.Series:
    """Return at most *most* characters of texts, ending with a whole word where it can."""
    short = text.str.head(most - 1).str.replace(r"\s+\S*$", "") + "…"
    cut = _where(text.str.len_chars() > most, short, text)
    return _where(cut != "", cut) if empty else cut


def _where(holds: pl.Series, value: pl.Series, otherwise: pl.Series | None = None) -> pl.Series:
    return pl.select(pl.when(holds.fill_null(False)).then(value).otherwise(otherwise)).to_series()


def _first(*texts: pl.Series) -> pl.Series:
    return pl.select(pl.coalesce(*texts)).to_series()
