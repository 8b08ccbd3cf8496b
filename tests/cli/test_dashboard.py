"""The dashboard as a process: it never outlives who started it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

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
