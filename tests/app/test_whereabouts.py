"""`runwell.json` tells where everything on a data directory listens, whoever runs it."""

from __future__ import annotations

import json
from pathlib import Path

from collector.app import child, whereabouts

HTTP = {"http": {"host": "127.0.0.1", "port": 1}, "grpc": {"host": "127.0.0.1", "port": 2}}
API = {"api": {"host": "127.0.0.1", "port": 3}}


def told(directory: Path) -> set[str]:
    """Return the names in the file."""
    return set(json.loads((directory / whereabouts.FILE).read_text()))


def test_supervisors_of_single_roles_share_the_file(tmp_path: Path) -> None:
    """Each adds what it runs, keeps what the other runs, and takes its own away at the end."""
    receive = child.lock(tmp_path, "receive" + child.SUPERVISOR)
    gate = child.lock(tmp_path, "gate" + child.SUPERVISOR)
    whereabouts.write(tmp_path, ("receive", "gate"), HTTP)
    store = child.lock(tmp_path, "store" + child.SUPERVISOR)
    whereabouts.write(tmp_path, ("store",), API)
    assert told(tmp_path) == {"http", "grpc", "api", "pid", "version"}
    whereabouts.write(tmp_path, ("receive", "gate"), {})
    assert told(tmp_path) == {"api", "pid", "version"}
    receive.close()
    gate.close()
    whereabouts.write(tmp_path, ("store",), {})
    store.close()
    assert not (tmp_path / whereabouts.FILE).exists()


def test_what_a_killed_supervisor_left_is_not_kept(tmp_path: Path) -> None:
    """Addresses of a role that nobody holds are stale."""
    child.lock(tmp_path, "receive" + child.SUPERVISOR).close()
    whereabouts.write(tmp_path, ("receive",), HTTP)
    whereabouts.write(tmp_path, ("store",), API)
    assert told(tmp_path) == {"api", "pid", "version"}
