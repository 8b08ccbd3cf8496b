"""`runwell sql`: one SELECT against a running store, in the form that is asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from collector.cli import exits
from collector.cli.access import ANYBODY, AccessOptions
from collector.cli.options import DEFAULT, CommonOptions
from collector.model.address import http_url
from collector.model.errors import UsageError

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

Format = Literal["table", "json", "csv", "parquet", "arrow"]


def sql(
    query: str,
    *,
    format: Annotated[Format, Parameter(help="Form of the rows.")] = "table",
    output: Annotated[Path | None, Parameter(help="File to write to instead of stdout.")] = None,
    url: Annotated[str | None, Parameter(help="URL of the read API [default: the one on --data].")] = None,
    common: CommonOptions = DEFAULT,
    to: AccessOptions = ANYBODY,
) -> int:
    """Ask one SELECT; `runwell schema` tells tables and columns. JSON is a list of objects."""
    from collector.client import Client, address

    settings = common.settings()
    where = url or address(settings.data)
    if where is None:
        where = http_url(settings.host, settings.api_port)
    if output is None and format in ("parquet", "arrow") and sys.stdout.isatty():
        raise UsageError(f"--format {format}: is not for a terminal; add --output FILE or redirect.")
    answer = Client(where, access=to.access()).sql(query)
    written = write(answer.table, format)
    if output:
        try:
            output.write_bytes(written)
        except OSError as e:
            raise UsageError(f"--output {output}: cannot be written ({e.strerror}); choose another path.") from None
    else:
        sys.stdout.buffer.write(written)
        sys.stdout.flush()
    if answer.truncated:
        sys.stderr.write(f"runwell: the answer was cut at the limit of {answer.truncated}; add LIMIT or WHERE.\n")
    return exits.FOUND if answer.truncated else exits.DONE


def write(table: pa.Table, form: Format) -> bytes:
    import io

    import pyarrow as pa

    from collector.api import form as api_form
    from collector.model.shown import cell, json_text, lines

    if form == "json":
        return json_text(api_form.json_bytes(api_form.rows(table)).decode()).encode() + b"\n"
    if form == "arrow":
        return api_form.arrow_bytes(table)
    import polars as pl

    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    sink = io.BytesIO()
    if form == "parquet":
        frame.write_parquet(sink)
        return sink.getvalue()
    _check_dates(frame, form)
    if form == "csv":
        head = pl.DataFrame([[cell(name)] for name in frame.columns], [f"c{i}" for i in range(frame.width)])
        head.write_csv(sink, include_header=False)
        _for_csv(frame).write_csv(sink, include_header=False)
        return sink.getvalue()
    assert isinstance(table, pa.Table)
    with pl.Config(
        tbl_rows=200,
        tbl_cols=-1,
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
        tbl_formatting="UTF8_FULL_CONDENSED",
        fmt_str_lengths=80,
        tbl_width_chars=_width(),
    ):
        # What telemetry wrote must not steer the terminal.
        text = lines(str(frame))
    rest = f"{frame.height} rows" + (", the first and last 100 shown" if frame.height > 200 else "")
    return f"{text}\n{rest}\n".encode()


def _check_dates(frame: pl.DataFrame, form: Format) -> None:
    """Raise UsageError for dates that cannot be written as text."""
    import datetime as dt

    import polars as pl

    for column in frame.select(pl.col(pl.Date, pl.Datetime)).iter_columns():
        edges = pl.Series([dt.date.min, dt.date.max]).cast(column.dtype).to_physical()
        if not column.to_physical().is_between(edges[0], edges[1]).all():
            raise UsageError(
                f"--format {form}: a date in {column.name} is outside the years 1 to 9999; cast it to VARCHAR."
            )


def _for_csv(frame: pl.DataFrame) -> pl.DataFrame:
    """Return *frame* as columns that CSV can hold: lists joined by |, other nested values and bytes as JSON.

    Text is as `shown.cell` has it.
    """
    import polars as pl

    from collector.api import form as api_form
    from collector.model.shown import HIDDEN, cell, json_text

    def nested(value: object) -> str:
        return json_text(api_form.json_bytes(value).decode())

    columns: list[pl.Expr | pl.Series] = []
    for name, kind in frame.schema.items():
        if isinstance(kind, pl.List) and not (kind.inner.is_nested() or kind.inner == pl.Binary):
            columns.append(pl.col(name).cast(pl.List(pl.String)).list.join("|"))
        elif kind.is_nested() or kind == pl.Binary:
            texts = [None if value is None else nested(value) for value in frame[name].to_list()]
            columns.append(pl.Series(name, texts, pl.String))
    flat = frame.with_columns(columns)
    told = flat.select(pl.col(pl.String, pl.Categorical).cast(pl.String))
    odd = told.select(pl.all().str.contains(f"^[=+\\-@＝＋－＠]|{HIDDEN.pattern}").any())  # noqa: RUF001
    return flat.with_columns(told[name].map_elements(cell, pl.String) for name in told.columns if odd[name].item())


def _width() -> int:
    import shutil

    return shutil.get_terminal_size((160, 40)).columns if sys.stdout.isatty() else 10_000
