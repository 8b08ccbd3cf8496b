"""Ports: does something listen, is it a runwell that answers, and whose process is it, as far as this machine tells."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from collector.doctor.found import Check, State
from collector.model.address import http_url

_INFO = re.compile(r'^runwell_(receive|store)_info\{version="([^"]*)"\}', re.MULTILINE)
_REALM = re.compile(r'Bearer realm="runwell (receive|store)"')
"""What one says of itself that tells the rest for a key, which nobody gets before it is known who asks for it."""
_LISTEN = "0A"
PORTS = {
    "http": ("OTLP/HTTP", "receive"),
    "grpc": ("OTLP/gRPC", "gate"),
    "api": ("read API", "store"),
    "dashboard": ("dashboard", "dashboard"),
}
_PATIENCE_S = 2.0
_RESTART_S = 5.0
"""How long is waited for a process that is being started again."""
_MOST = 1_000_000
"""How many characters of metrics are looked at."""
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""HTTP/2's preface and empty settings, as a gRPC client begins."""
_SETTINGS = 4
"""Type of the frame with which HTTP/2 answers; it is the fourth byte."""


@dataclass(frozen=True, slots=True)
class Listener:
    """What is behind a port. *runwell*: `receive` or `store` and its version, where it told that without a key; `gate`
    for anything that speaks HTTP/2, `dashboard` for any app of Streamlit's, empty for others. *silent*: it takes
    connections and says nothing at all.
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
        ask = {"gate": _greets, "dashboard": _shows}.get(role, _speaks)
        return Listener(True, ask(host, port), _owner(port))
    except (httpx.TimeoutException, TimeoutError):
        return Listener(True, "", _owner(port), silent=True)


def ports(addresses: dict[str, dict[str, Any]], running: dict[str, Any]) -> list[Check]:
    """Return what is found at *addresses*; *running*: those at which a runwell says it listens."""
    until = time.monotonic() + _RESTART_S
    found = {name: _look(name, where, until if name in running else 0.0) for name, where in addresses.items()}
    other = next((n for n, f in found.items() if n not in running and f.runwell.startswith(("receive", "store"))), "")
    checks = []
    for name, where in addresses.items():
        listener = found[name]
        at = f"{PORTS[name][0]} {where['host']}:{where['port']}"
        if name in running:
            state, told = _ours(name, listener, running["pid"])
        elif listener.listening:
            state, told = _taken(name, listener, other)
        else:
            state, told = "note", "free; nothing runs here, `runwell up` starts it"
        facts = {**where, "listening": listener.listening, "process": listener.process, "runwell": listener.runwell}
        checks.append(Check(f"port_{name}", state, f"{at}: {told}", facts))
    return checks


def _look(name: str, where: dict[str, Any], until: float) -> Listener:
    """Return what listens at *where*; what does not is looked at again until then, since what dies is started again."""
    while True:
        found = look(where["host"], where["port"], PORTS[name][1]) if where["port"] else Listener(False)
        if found.listening or time.monotonic() >= until:
            return found
        time.sleep(0.1)


def _ours(name: str, found: Listener, pid: int) -> tuple[State, str]:
    """Return what is to be said of a port at which the runwell of supervisor *pid* says it listens."""
    role = PORTS[name][1]
    if found.listening and found.runwell.startswith(role):
        return "ok", f"runwell listens{_by(found)}"
    if found.silent:
        return (
            "problem",
            f"takes connections and does not answer{_by(found)}; see the log of {role}, or restart runwell",
        )
    if found.listening:
        return "problem", f"something else answers{_by(found)}; end it"
    return "problem", (
        f"nothing listens; runwell ({pid}) starts {role} again when it dies, see its log for why it does not come up"
    )


def _taken(name: str, found: Listener, other: str) -> tuple[State, str]:
    """Return what is to be said of a port that is taken. *other*: the first at which a runwell of another directory
    is; the rest of it is no problem of its own. A dashboard may be all that is left of one.
    """
    if found.runwell and other not in ("", name):
        return "note", f"taken by that other runwell too{_by(found)}"
    choose = f"--{name}-port to choose another port"
    if found.runwell == "dashboard":
        return (
            "problem",
            f"taken by a dashboard, of another runwell or of one that is gone{_by(found)}; end it, or give {choose}",
        )
    whose = f"runwell {found.runwell} of another data directory" if name == other else "something else"
    return "problem", f"taken by {whose}{_by(found)}; give --data of that one, or {choose}"


def _by(found: Listener) -> str:
    return f", process {found.process}" if found.process else ""


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


def _shows(host: str, port: int) -> str:
    """Return `dashboard` for what answers as Streamlit does."""
    answer = _get(f"{http_url(host, port)}/_stcore/health")
    return "dashboard" if answer is not None and answer.is_success and answer.text.strip() == "ok" else ""


def _speaks(host: str, port: int) -> str:
    """Return what a runwell says of itself."""
    answer = _get(f"{http_url(host, port)}/metrics")
    if answer is None:
        return ""
    if asked := _REALM.fullmatch(answer.headers.get("www-authenticate", "")):
        return asked[1]
    found = _INFO.search(answer.text[:_MOST]) if answer.is_success else None
    return f"{found[1]} {found[2]}" if found else ""


def _get(url: str) -> httpx.Response | None:
    """Return what is answered, None for what is no HTTP; raise TimeoutException for no answer."""
    try:
        return httpx.get(url, timeout=_PATIENCE_S, trust_env=False)
    except httpx.TimeoutException:
        raise
    except (httpx.HTTPError, ValueError):
        return None


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
