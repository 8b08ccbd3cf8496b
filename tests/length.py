"""How long a test may take: briefly in `make test`, at length under a target of its own.

A test that is long, or a case of one, is marked `long("faults")` and runs only there; one that can be both asks
`longer` how often. `python -m tests.length faults` runs a target and writes how it went into docs/long-runs.md.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
LEDGER = ROOT / "docs" / "long-runs.md"
TRIED = ROOT / "docs" / "reliability.md"
"""Where `make chaos` says what it tried."""
ASKED = os.environ.get("RUNWELL_TEST_LONG", "")
"""The target that runs now; empty in `make test`."""
VERSIONS = ROOT / "docs" / "connect" / "versions.md"
"""Where `make docs-live` says which packages the pages were tried with."""
_TRIED, _TRIED_END = "<!-- written by make chaos -->\n", "<!-- end -->"
SEED = int(os.environ.get("RUNWELL_TEST_SEED", "0")) or int.from_bytes(os.urandom(4), "big")
"""What random tests begin from; RUNWELL_TEST_SEED repeats a run."""


@dataclass(frozen=True)
class Target:
    """Long tests that belong together: a word for people, the files, and the minutes after which they are stopped."""

    what: str
    files: tuple[str, ...]
    minutes: int


TARGETS = {
    "chaos": Target(
        "Strangers of every kind, hostile SQL and kills at once, twelve rounds of five minutes; processes killed under "
        "load, ten rounds of 20 kills; official clients through ten restarts",
        ("tests/faults/test_chaos.py", "tests/faults/test_kill.py", "tests/e2e/test_official_clients.py"),
        120,
    ),
    "properties": Target("Properties, on at least five times the examples of `make test`", ("tests",), 180),
    "faults": Target(
        "Files damaged in eight ways each and read again; runs that fail at every stage; every way to stop",
        (
            *("tests/faults/test_damage.py", "tests/faults/test_stop.py"),
            *("tests/jobs/test_set_aside.py", "tests/cli/test_running.py"),
        ),
        30,
    ),
    "memory": Target(
        "Ten minutes of records as fast as they are taken, on a store of a million runs, with pages, reports and "
        "findings asked for: the tree stays within `memory`",
        ("tests/memory",),
        60,
    ),
    "docs-live": Target(
        "Every page of docs/connect with what its install line brings today, in an environment of its own",
        ("tests/connect",),
        20,
    ),
    "browser": Target("Every page in both themes, axe, hostile names", ("tests/dashboard/test_browser.py",), 30),
}


def longer(target: str, brief: int, long: int) -> int:
    """Return *long* where *target* runs, else *brief*."""
    return long if target == ASKED else brief


def examples(brief: int) -> int:
    """Return how many examples a property is tried on: *brief*, or five times as many, each time others."""
    return longer("properties", brief, 5 * brief)


def also(target: str, *cases: Any) -> list[Any]:
    """Return *cases* of a test, each a value or a tuple of them, that run under *target* alone."""
    return [pytest.param(*(c if isinstance(c, tuple) else (c,)), marks=pytest.mark.long(target)) for c in cases]


def tally(told: dict[str, Any]) -> None:
    """Keep what a long test did, counts in tables, for the page that says what was tried how often (`summed`)."""
    if file := os.environ.get("RUNWELL_TEST_TALLY"):
        with Path(file).open("a") as lines:
            lines.write(json.dumps(told) + "\n")


def summed(told: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the counts of *told* added up, table by table; of those named `peak…` the highest."""
    out: dict[str, Any] = {}
    for one in told:
        for key, value in one.items():
            if isinstance(value, dict):
                out[key] = summed([out.get(key, {}), value])
            else:
                out[key] = max(out.get(key, 0), value) if key.startswith("peak") else out.get(key, 0) + value
    return out


class Length:
    """pytest's side: leaves out what is long, and what an interrupted run of the same commit has passed already."""

    def __init__(self, passed: Path | None) -> None:
        self._passed = passed

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep what runs now; under a target that is what is marked for it or asks `longer`."""
        done = set(self._passed.read_text().splitlines()) if self._passed and self._passed.exists() else set()
        kept, left = [], []
        for item in items:
            targets = {m.args[0] for m in item.iter_markers("long")}
            runs = ASKED in targets or not targets
            if ASKED == "properties":
                runs = ASKED in targets or getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
            (kept if runs and item.nodeid not in done else left).append(item)
        config.hook.pytest_deselected(items=left)
        items[:] = kept

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that passed, so that it need not run again."""
        if self._passed and report.when == "call" and report.passed:
            with self._passed.open("a") as file:
                file.write(f"{report.nodeid}\n")


def _git(*args: str) -> str:
    return subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def run(name: str) -> int:
    """Run target *name*, going on where a run of this commit was interrupted, and write the ledger; 0 if all passed."""
    target = TARGETS[name]
    written = [f":!{page.relative_to(ROOT)}" for page in (LEDGER, TRIED, VERSIONS)]
    commit = _git("rev-parse", "--short=10", "HEAD") + (
        "+" if _git("status", "--porcelain", "--", ".", *written) else ""
    )
    folder = ROOT / ".long"
    folder.mkdir(exist_ok=True)
    state = folder / f"{name}-{commit}.json"
    begun = json.loads(state.read_text()) if state.exists() else {"seed": SEED, "seconds": 0.0}
    passed = folder / f"{name}-{commit}.passed"
    environment = {**os.environ, "RUNWELL_TEST_LONG": name, "RUNWELL_TEST_SEED": str(begun["seed"])}
    environment["RUNWELL_TEST_PASSED"] = str(passed)
    tallied = folder / f"{name}-{commit}.jsonl"
    environment["RUNWELL_TEST_TALLY"] = str(tallied)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-ra",
        "--durations=3",
        f"--hypothesis-seed={begun['seed']}",
        *target.files,
    ]
    at = time.monotonic()
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, timeout=target.minutes * 60, capture_output=True)
        output, code = done.stdout.decode(errors="replace"), done.returncode
        sys.stderr.write(done.stderr.decode(errors="replace"))
    except subprocess.TimeoutExpired as e:
        output, code = (e.stdout or b"").decode(errors="replace"), 1
        output += f"\nstopped after {target.minutes} minutes; the same command goes on from here\n"
    print(output)
    begun["seconds"] += time.monotonic() - at
    state.write_text(json.dumps(begun))
    ok = len(set(passed.read_text().splitlines())) if passed.exists() else 0
    failed = len(re.findall(r"^(?:FAILED|ERROR) ", output, re.M))
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    outcome = str(failed or ("stopped" if code else 0))
    _note(name, [target.what, today, commit, str(ok), outcome, str(begun["seed"]), f"{begun['seconds'] / 60:.0f}"])
    if tallied.exists():
        told = [json.loads(line) for line in tallied.read_text().splitlines()]
        _SAYS[name](f"{today}, {commit}", told)
    if not code:
        state.unlink()
        passed.unlink(missing_ok=True)
    return code


def _versions(when: str, pages: list[dict[str, Any]]) -> None:
    """Write into docs/connect which packages *pages* were tried with; of a page that was tried twice the latest."""
    lines = {}
    for told in pages:
        packages = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
        lines[told["page"]] = f"| [{told['page']}]({told['page']}.md) | {packages} |\n"
    VERSIONS.write_text(
        "# Which packages the pages were tried with\n\n"
        "`make docs-live` gives each page an environment of its own, runs its install line, and plays the page in it.\n"
        f"Last run: {when}, Python {platform.python_version()}. How it went: [Long runs](../long-runs.md).\n\n"
        "| page | packages |\n|---|---|\n" + "".join(lines[page] for page in sorted(lines))
    )


def _tried(when: str, rounds: list[dict[str, Any]]) -> None:
    """Write into docs/reliability.md what *rounds* of chaos tried, and what came of it."""
    page, told = TRIED, summed(rounds)
    before, _, rest = page.read_text().partition(_TRIED)
    _, _, after = rest.partition(_TRIED_END)

    def counts(of: dict[str, int]) -> str:
        return ", ".join(f"{what} {n:,}" for what, n in sorted(of.items(), key=lambda item: -item[1]))

    lines = [
        f"\nLast run: {when}; {len(rounds)} rounds. {told['records']:,} records, each that was acknowledged stored "
        f"once; {told['runs']:,} healthy runs, each right; {sum(told['kills'].values()):,} kills "
        f"({counts(told['kills'])}); all processes together held {told['peak_mib']:,} MiB at most.\n",
        "| strangers | deeds | what came of them |\n|---|---|---|",
        *(f"| {kind} | {sum(of.values()):,} | {counts(of)} |" for kind, of in told["deeds"].items()),
    ]
    page.write_text(before + _TRIED + "\n".join(lines) + "\n" + _TRIED_END + after)


_SAYS: dict[str, Callable[[str, list[dict[str, Any]]], None]] = {"chaos": _tried, "docs-live": _versions}
"""Target → what writes what its tests tallied into a page."""


def _note(name: str, cells: list[str]) -> None:
    """Write the row of target *name* in the ledger."""
    rows = {}
    if LEDGER.exists():
        rows = {line.split("`")[1]: line for line in LEDGER.read_text().splitlines() if line.startswith("| `make ")}
    rows[f"make {name}"] = f"| `make {name}` | " + " | ".join(cells) + " |"
    LEDGER.write_text(
        "# Long runs\n\n"
        "What `make test` holds briefly runs at length under targets of its own. Each writes its last run here; a run\n"
        "that was interrupted goes on where it was when the same command is given again, and `RUNWELL_TEST_SEED=…`\n"
        "repeats one. A `+` behind the commit: with changes that were not committed.\n\n"
        "| target | what | date | commit | passed | failed | seed | minutes |\n|---|---|---|---|---|---|---|---|\n"
        + "".join(rows[k] + "\n" for k in sorted(rows))
    )


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m tests.length {' | '.join(TARGETS)}")
    sys.exit(run(sys.argv[1]))
