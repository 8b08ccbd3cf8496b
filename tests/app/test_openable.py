"""A file of runwell's that cannot be opened is named, by a start and by doctor, and nothing is changed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.app.openable import FILES, FOLDERS, refuse, unopenable
from collector.control import Control
from collector.journal import Journal
from collector.model.errors import UsageError
from collector.settings import Store
from collector.store.database import Database
from tests.ops.doctors import Doctor, checks, free_ports, posing
from tests.stack import RUNWELL

REMEDY = "move it away, and put back what stood there"


def loop(path: Path) -> None:
    """Make a link to itself."""
    path.symlink_to(path)


def nowhere(path: Path) -> None:
    """Make a link into a directory that is not there."""
    path.symlink_to(path.parent / "none" / path.name)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, loop, nowhere])
def test_each_file_of_ours_is_looked_at(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Whatever stands in the place of a file and is none is named alone, with what helps; nothing of it is opened."""
    for name in FILES:
        directory = tmp_path / name
        directory.mkdir()
        make(directory / name)
        ((path, told),) = unopenable(directory).items()
        assert (path, told.startswith(f"{path}: cannot be opened, "), told.endswith(REMEDY)) == (
            directory / name,
            True,
            True,
        )
        with pytest.raises(UsageError, match=name):
            refuse(directory)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path, name: str) -> None:
    """A folder of ours must be one."""
    (tmp_path / name).touch()
    assert list(unopenable(tmp_path)) == [tmp_path / name]


def test_what_can_be_opened_or_made_is_no_trouble(tmp_path: Path) -> None:
    """The files that runwell makes, links to files, and links to where one can be made, are as they should be."""
    assert unopenable(tmp_path / "none") == {}
    Control.open(tmp_path).close()
    Journal.open(tmp_path).close()
    Database.open(tmp_path, Store()).close()
    assert {path.name for path in tmp_path.iterdir()} <= {*FILES, *FOLDERS}
    (tmp_path / "journal.head").rename(tmp_path / "elsewhere")
    (tmp_path / "journal.head").symlink_to("elsewhere")
    (tmp_path / "runwell.json").symlink_to("not there yet")
    assert unopenable(tmp_path) == {}


def test_a_file_without_rights_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this user may not read and write says so, and where to look."""
    (tmp_path / "control.sqlite").touch(mode=0o400)
    tmp_path.chmod(0o777)
    monkeypatch.chdir(tmp_path)
    user = os.geteuid()
    if user == 0:  # to whom nothing is forbidden
        os.seteuid(65_534)
    try:
        found = unopenable(Path())
    finally:
        os.seteuid(user)
    assert [*found.values()] == [
        "control.sqlite: cannot be opened, this user may not read and write it; look at its owner and its rights"
    ]


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["control.sqlite", "journal.sqlite", "runwell.duckdb"])
@pytest.mark.parametrize("runs", [False, True])
def test_doctor_names_what_cannot_be_opened(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, *, runs: bool
) -> None:
    """It is the one problem, whether runwell runs and nothing comes up for it, or is stopped."""
    monkeypatch.setattr("collector.doctor.ports._RESTART_S", 0.0)
    data, doctor = tmp_path / "data", Doctor(capsys)
    data.mkdir()
    Control.open(data).close()
    Journal.open(data).close()
    (data / name).unlink(missing_ok=True)
    (data / name).mkdir()
    if runs:
        nothing = {"host": "127.0.0.1", "port": 1}
        with posing(data, http=nothing, grpc=nothing, api=nothing):
            code, report = doctor.json("--data", str(data), *free_ports())
    else:
        code, report = doctor.json("--data", str(data), *free_ports())
    assert (code, report["problems"]) == (1, 1), json.dumps(report["checks"], indent=1)
    assert checks(report, "file", "problem") == [f"{data / name}: cannot be opened, it is a directory; {REMEDY}"]


@pytest.mark.e2e
def test_a_start_ends_with_its_name(tmp_path: Path) -> None:
    """One sentence names the file and what helps, and the directory stays as it was."""
    data = tmp_path / "data"
    (data / "journal.sqlite").mkdir(parents=True)
    done = subprocess.run([RUNWELL, "serve", "--data", data], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1
    assert f"{data}/journal.sqlite: cannot be opened, it is a directory; {REMEDY}." in done.stderr
    assert [path.name for path in data.iterdir()] == ["journal.sqlite"]
