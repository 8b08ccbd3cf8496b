"""Ports: does something listen, is it a runwell, and whose process is it, as far as this machine tells."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path

import httpx

from collector.model.address import http_url

_INFO = re.compile(r'^runwell_(receive|store)_info\{version="([^"]*)"\}', re.MULTILINE)
_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class Listener:
    """What is behind a port. *runwell*: `receive` or `store` and its version, empty if it does not say so."""

    listening: bool
    runwell: str = ""
    process: str = ""


def look(host: str, port: int) -> Listener:
    """Return what listens on *host*:*port*."""
    try:
        with socket.create_connection((host, port), timeout=2):
            pass
    except OSError:
        return Listener(False)
    return Listener(True, _speaks(host, port), _owner(port))


def _speaks(host: str, port: int) -> str:
    try:
        answer = httpx.get(f"{http_url(host, port)}/metrics", timeout=2, trust_env=False)
    except (httpx.HTTPError, ValueError):
        return ""
    found = _INFO.search(answer.text[:1_000_000])
    return f"{found[1]} {found[2]}" if found else ""


def _owner(port: int) -> str:
    """Return `name (pid)` of the process that listens, empty where the system does not tell (not Linux, not ours)."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    if not sockets:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(_leads_to(fd) in sockets for fd in (process / "fd").iterdir()):
                name = (process / "comm").read_text("utf-8", "replace").strip()
                return f"{name} ({process.name})"
        except OSError:  # gone, or another user's
            continue
    return ""


def _leads_to(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except OSError:  # closed meanwhile
        return ""


def _inodes(port: int) -> set[str]:
    found: set[str] = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            lines = table.read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found
