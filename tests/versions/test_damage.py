"""What becomes of a damaged file, whichever of the three it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from collector.control import FILE as CONTROL
from collector.control import Control
from collector.journal import Journal, files
from collector.settings import Store
from collector.store import FILE as STORE
from collector.store.database import Database
from collector.versions import damage

GARBAGE = b"this is no database " * 4096


def _journal(directory: Path) -> None:
    Journal.open(directory).close()


def _control(directory: Path) -> None:
    Control.open(directory).close()


def _store(directory: Path) -> None:
    Database.open(directory, Store(threads=1), on_fatal=lambda e: None).close()


@pytest.mark.parametrize(("name", "open_"), [(files.NAME, _journal), (CONTROL, _control), (STORE, _store)])
def test_a_damaged_file_is_kept_under_a_new_name_and_told(
    tmp_path: Path, name: str, open_: Callable[[Path], None]
) -> None:
    """Each time one is damaged it is renamed to the next free number with its bytes, and the log has the same line."""
    for n in (1, 2):
        (tmp_path / name).write_bytes(GARBAGE)
        with capture_logs() as told:
            open_(tmp_path)
        assert (tmp_path / f"{name}.damaged-{n}").read_bytes() == GARBAGE
        (line,) = (line for line in told if line["event"].endswith("_failed"))
        assert line["set_aside"][0] == f"{name}.damaged-{n}"
        assert (line["event"], line["log_level"], line["error_type"]) == ("file_open_failed", "error", "DamagedFile")
        open_(tmp_path)


def test_what_belongs_to_a_file_goes_with_it_under_a_number_that_is_free_for_all(tmp_path: Path) -> None:
    """No file under a new name is written over, and of those beside it each that is there keeps its ending."""
    for name in ("a", "a-wal", "a.damaged-1-wal", "a.damaged-2"):
        (tmp_path / name).write_text(name)
    assert damage.set_aside(tmp_path / "a", damage.SQLITE) == ["a.damaged-3", "a.damaged-3-wal"]
    left = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert left == {
        "a.damaged-1-wal": "a.damaged-1-wal",
        "a.damaged-2": "a.damaged-2",
        "a.damaged-3": "a",
        "a.damaged-3-wal": "a-wal",
    }
    assert damage.set_aside(tmp_path / "gone") == []
