"""Ports: does something listen, is it a runwell that answers, and whose process is it, as far as this machine tells."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from collector.doctor.found import Check
from collector.model.address import http_url

_INFO = re.compile(r'^runwell_(receive|store)_info\{version="([^"]*)"\}', re.MULTILINE)
_LISTEN = "0A"
PORTS = {"http": ("OTLP/HTTP", "receive"), "grpc": ("OTLP/gRPC", "gate"), "api": ("read API", "store")}
_PATIENCE_S = 2.0
_RESTART_S = 5.0
"""How long is waited for a process that is being started again."""
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""HTTP/2's preface and empty settings, as a gRPC client begins."""
_SETTINGS = 4
"""Type of the frame with which HTTP/2 answers; it is the fourth byte."""


@dataclass(frozen=True, slots=True)
class Listener:
    """What is behind a port. *runwell*: `receive` or `store` and its version, `gate` for anything that speaks HTTP/2,
    empty for others; *silent*: it takes connections and says nothing at all.
    """

    listening: bool
    runwell: str = ""
    process: str = ""
    silent: bool = False


def look(host: str, port: int, role: str = "") -> Listener:
    """Return what listens on *host*:*port*, where *role* is expected."""
    try:
        with socket.create_connection((host, port), timeout=_PATIENCE_S):
            pass
    except OSError:
        return Listener(False)
    try:
        return Listener(True, _greets(host, port) if role == "gate" else _speaks(host, port), _owner(port))
    except (httpx.TimeoutException, TimeoutError):
        return Listener(True, "", _owner(port), silent=True)


def ports(addresses: dict[str, dict[str, Any]], running: dict[str, Any]) -> list[Check]:
    """Return what is found at *addresses*; *running*: those at which a runwell says it listens."""
    checks = []
    until = time.monotonic() + _RESTART_S
    for name, where in addresses.items():
        words, role = PORTS[name]
        found = look(where["host"], where["port"], role) if where["port"] else None
        while name in running and found and not found.listening and time.monotonic() < until:
            time.sleep(0.1)  # what dies is started again on the same port
            found = look(where["host"], where["port"], role)
        facts = {**where, "process": found.process, "runwell": found.runwell} if found else where
        at = f"{words} {where['host']}:{where['port']}"
        by = f", process {found.process}" if found and found.process else ""
        if name in running:
            if found and found.listening and found.runwell.startswith(role):
                checks.append(Check(f"port_{name}", "ok", f"{at}: runwell listens{by}", facts))
            elif found and found.silent:
                told = f"{at}: takes connections and does not answer{by}; see the log of {role}, or restart runwell"
                checks.append(Check(f"port_{name}", "problem", told, facts))
            elif found and found.listening:
                checks.append(Check(f"port_{name}", "problem", f"{at}: something else answers{by}; end it", facts))
            else:
                told = (
                    f"{at}: nothing listens; runwell ({running['pid']}) starts {role} again when it dies, see its log "
                    f"for why it does not come up"
                )
                checks.append(Check(f"port_{name}", "problem", told, facts))
        elif found and found.listening:
            known = found.runwell if role != "gate" else ""
            whose = f"runwell {known} of another data directory" if known else "something else"
            advice = f"give --data of that one, or --{name}-port to choose another port"
            checks.append(Check(f"port_{name}", "problem", f"{at}: taken by {whose}{by}; {advice}", facts))
        else:
            checks.append(
                Check(f"port_{name}", "note", f"{at}: free; nothing runs here, `runwell up` starts it", facts)
            )
    return checks


def _greets(host: str, port: int) -> str:
    """Return `gate` for what greets as HTTP/2 does; raise TimeoutError for what says nothing."""
    try:
        with socket.create_connection((host, port), timeout=_PATIENCE_S) as s:
            s.sendall(_GREETING)
            said = s.recv(9)
    except TimeoutError:
        raise
    except OSError:
        return ""
    return "gate" if len(said) > 3 and said[3] == _SETTINGS else ""


def _speaks(host: str, port: int) -> str:
    try:
        answer = httpx.get(f"{http_url(host, port)}/metrics", timeout=_PATIENCE_S, trust_env=False)
    except httpx.TimeoutException:
        raise
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
