"""What is kept is for its owner only."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from collector.app import child, private, whereabouts
from collector.app.openable import FILES
from collector.model.errors import UsageError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_are_made_for_their_owner_only(tmp_path: Path, umask: int) -> None:
    """Locks and the file of addresses have 0600, the directory 0700, whatever the umask."""
    before = os.umask(umask)
    try:
        directory = child.data_directory(tmp_path / "data")
        whereabouts.write(directory, ("store",), {"api": {"host": "127.0.0.1", "port": 1}})
        child.lock(directory, "store").close()
    finally:
        os.umask(before)
    assert mode(directory) == 0o700
    assert {mode(path) for path in directory.iterdir()} == {0o600}


def test_an_older_directory_is_tightened_and_told_in_one_line(tmp_path: Path) -> None:
    """Of one's own directory others lose their rights, ours and no other files; a second look says nothing."""
    tmp_path.chmod(0o755)
    for name in (*FILES[:3], "notes.txt"):
        (tmp_path / name).touch(0o644)
        (tmp_path / name).chmod(0o644)
    (told,) = private.tighten(tmp_path)
    assert all(name in told for name in (tmp_path.name, *FILES[:3]))
    assert (mode(tmp_path), mode(tmp_path / FILES[0]), mode(tmp_path / "notes.txt")) == (0o700, 0o600, 0o644)
    assert private.tighten(tmp_path) == []
    assert private.tighten(tmp_path / "none") == []


def test_a_link_is_told_with_where_it_leads(tmp_path: Path) -> None:
    """A link of one's own is followed and named, whether it is the directory or a file in it."""
    there = tmp_path / "disk"
    there.mkdir(0o755)
    (tmp_path / "data").symlink_to(there)
    (there / FILES[0]).symlink_to(tmp_path / "elsewhere")
    told = private.tighten(tmp_path / "data")
    assert sum("is a link" in line for line in told) == 2
    assert str(there) in told[0]
    assert mode(there) == 0o700


def test_what_belongs_to_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory of somebody else is refused with what to do; root is told."""
    monkeypatch.setattr(private, "ROOT", -1)
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(UsageError, match="belongs to another user"):
        private.tighten(tmp_path)
    monkeypatch.setattr(private, "ROOT", owner + 1)
    assert "belongs to another user" in private.tighten(tmp_path)[0]
