"""Which version a database file is of, told before anything opens it for writing.

DuckDB replays a write-ahead log when it opens a file, and folds it in when it closes one; a file of a newer version is
to stay as it is. Reading costs what the replay costs: 12 ms for a log of 1.7 MB, a quarter of a second for one of 43.

`python -m collector.store.version DIRECTORY` does it for a process that has no need of DuckDB otherwise.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

from collector.model.errors import UsageError
from collector.store import FILE as FILE
from collector.versions import refuse_newer

VERSION = 8
"""Raised by one with every change of a table; `store/upgrade` has the step that leads to it."""
_NEWER = ("newer version of DuckDB", "Failed to read WAL of version")
"""How DuckDB says that it does not know the format of a file or of its log."""


def check(directory: Path) -> None:
    """Raise UsageError when the database file in *directory* is of a newer version; not a byte of it changes.

    What cannot be read is passed over: whoever opens it for writing finds out why.
    """
    path = directory / FILE
    if path.is_file():
        refuse_newer(path, _stored_version(path), VERSION)


def _stored_version(path: Path) -> int | None:
    try:
        with duckdb.connect(str(path), read_only=True, config={"enable_external_access": "false", "threads": 1}) as con:
            row = con.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
    except (duckdb.Error, RuntimeError) as e:
        if any(words in str(e) for words in _NEWER):
            raise UsageError(
                f"{path}: written by a newer runwell, with a newer DuckDB than {duckdb.__version__}; upgrade runwell. "
                "Nothing was changed."
            ) from None
        return None
    return int(row[0]) if row and str(row[0]).isdigit() else None


def main() -> int:
    """Print why the directory that is named cannot be used, if it cannot."""
    try:
        check(Path(sys.argv[1]))
    except UsageError as e:
        print(e)  # noqa: T201 -- to the process that asked
    return 0


if __name__ == "__main__":
    sys.exit(main())
