"""The dashboard as a process: it never outlives who started it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from pathlib import Path

import httpx
import psutil
import pytest

from tests.ops.doctors import Doctor, checks, free_ports
from tests.stack import RUNWELL, until

pytestmark = pytest.mark.e2e


def test_the_dashboard_ends_with_who_started_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """While it runs doctor names it at its port; when its parent is killed outright the port is free at once."""
    doctor, log = Doctor(capsys), tmp_path / "log"
    with log.open("wb") as out:
        command = [RUNWELL, "dashboard", "--url", "http://127.0.0.1:1", "--dashboard-port", "0"]
        parent = subprocess.Popen(command, stdout=out, stderr=out)
    found = until(lambda: re.search(rb"dashboard +http://\S+:(\d+)", log.read_bytes()), why=str(log))
    (shown,) = psutil.Process(parent.pid).children()
    at = ["--data", str(tmp_path / "none"), *free_ports(dashboard=found[1].decode())]
    code, report = doctor.json(*at)
    parent.kill()
    parent.wait()
    shown.wait(timeout=10)
    assert (code, report["problems"]) == (1, 1), json.dumps(report)
    (told,) = checks(report, "port_dashboard", "problem")
    assert f"taken by a dashboard, of another runwell or of one that is gone, process python ({shown.pid})" in told
    assert checks(doctor.json(*at)[1], "port_dashboard", "note")


def test_pages_of_other_sites_neither_use_nor_frame_it_nor_make_it_ask_outside(tmp_path: Path) -> None:
    """A foreign Host or Origin is refused in words, for websockets too; a listed one is let in behind a proxy that
    passes another Host on; and nothing of it, starting included, looks for a proxy that leads outside.
    """
    config, log = tmp_path / "runwell.toml", tmp_path / "log"
    config.write_text('hosts = ["runwell.example.com"]')
    with socket.create_server(("127.0.0.1", 0)) as outside, log.open("wb") as out:
        proxy = f"http://127.0.0.1:{outside.getsockname()[1]}"
        env = {**os.environ, **dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), proxy), "no_proxy": ""}
        command = [RUNWELL, "dashboard", "--config", config, "--url", "http://127.0.0.1:1", "--dashboard-port", "0"]
        shown = subprocess.Popen(command, stdout=out, stderr=out, env=env)
        try:
            found = until(lambda: re.search(rb"dashboard +http://\S+:(\d+)", log.read_bytes()), why=str(log))
            port = int(found[1])
            own, site = f"localhost:{port}", "https://runwell.example.com"
            for host, origin, status, words in (
                (own, f"http://{own}", 101, ""),
                (own, "", 101, ""),
                (own, site, 101, ""),
                ("runwell.example.com", site, 101, ""),
                (own, "http://evil.example", 403, "hosts"),
                (own, "http://localhost:1", 403, "hosts"),
                (f"evil.example:{port}", f"http://evil.example:{port}", 421, 'hosts = ["evil.example"]'),
                ("", "", 400, "Host"),
            ):
                told = _handshake(port, host, origin)
                assert told.startswith(f"HTTP/1.1 {status} "), (host, origin, told)
                assert words in told
            page = httpx.get(f"http://{own}/", trust_env=False)
            assert page.headers["x-frame-options"] == "DENY"
            assert page.headers["content-security-policy"] == "frame-ancestors 'none'"
            host_config = httpx.get(f"http://{own}/_stcore/host-config", trust_env=False).json()
            assert host_config["allowedOrigins"] == []
            assert b"handshake" not in log.read_bytes()
            outside.setblocking(False)
            with pytest.raises(BlockingIOError):
                outside.accept()
        finally:
            shown.terminate()
            shown.wait(timeout=10)


def _handshake(port: int, host: str, origin: str) -> str:
    """Return the answer to a handshake for the dashboard's websocket."""
    lines = [
        "GET /_stcore/stream HTTP/1.1",
        f"Host: {host}",
        *([f"Origin: {origin}"] if origin else []),
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: streamlit",
    ]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        return client.recv(65_536).decode("latin-1")
