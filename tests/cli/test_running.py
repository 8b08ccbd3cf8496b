"""Verbs against a running collector, as a shell calls them."""

from __future__ import annotations

import gzip
import io
import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
import zstandard

from collector import __version__
from collector.cli import root
from tests.inprocess import SETS, TRIGGER_DEV, recorded
from tests.length import also
from tests.reshape import to_json
from tests.stack import RUNWELL, Stack, running

pytestmark = pytest.mark.e2e
COUNT = "select count(*) as n from runs"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a collector."""
    with running(tmp_path_factory.mktemp("verbs") / "data") as made:
        yield made


class Shell:
    """Calls verbs in this process and keeps apart what they print."""

    def __init__(self, capture: pytest.CaptureFixture[bytes]) -> None:
        self._capture = capture

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Return exit code and output of a command line."""
        self._capture.readouterr()
        code = root.run(list(arguments))
        said = self._capture.readouterr()
        return subprocess.CompletedProcess(arguments, code, said.out, said.err)


@pytest.fixture
def shell(capsysbinary: pytest.CaptureFixture[bytes]) -> Shell:
    """Return a shell."""
    return Shell(capsysbinary)


def runwell(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Call the command as a process of its own and return what it did."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("RUNWELL_")}
    return subprocess.run([RUNWELL, *arguments], input=stdin, capture_output=True, timeout=120, env=env, check=False)


def lines(name: str) -> bytes:
    """Return a recorded set as OTLP/JSON lines, as the OpenTelemetry Collector's file exporter writes them."""
    return b"".join(to_json(r).body + b"\n" for r in recorded(name))


def test_replay_takes_recordings_lines_compressed_ones_and_stdin(stack: Stack, shell: Shell, tmp_path: Path) -> None:
    """Each form of a recording arrives whole, found through the data directory or by its endpoint."""
    plain, packed, squeezed = SETS[0], SETS[1], SETS[2]
    (tmp_path / "a.jsonl").write_bytes(lines(plain))
    (tmp_path / "b.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(lines(packed)))
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(lines(squeezed)))
    data = ("--data", str(stack.data))
    files = [str(tmp_path / name) for name in ("a.jsonl", "b.jsonl.zst", "c.json.gz")]
    recording = str(TRIGGER_DEV / f"{SETS[3]}.jsonl.gz")
    for done in (
        shell("replay", *files, *data),
        shell("replay", recording, "--endpoint", stack.url("http")),
        runwell("replay", "-", *data, stdin=lines(SETS[4])),
    ):
        assert (done.returncode, b" 0 records in them rejected" in done.stdout) == (0, True), done.stderr.decode()
    stack.applied()
    truth = [json.loads(line) for name in SETS for line in (TRIGGER_DEV / f"{name}.truth.jsonl").open()]
    stored = {r["run_id"] for r in stack.client.sql("select run_id from runs").table.to_pylist()}
    missing = {t["runId"] for t in truth} - stored
    assert missing == set(json.loads((TRIGGER_DEV / "http-json-batch.silent.json").read_text()))


@pytest.mark.parametrize("by", ["data", "url"])
def test_sql_prints_rows_in_every_form(stack: Stack, shell: Shell, by: str) -> None:
    """The same answer as a table, JSON, CSV, Parquet and Arrow, asked by data directory or by URL."""
    where = ("--data", str(stack.data)) if by == "data" else ("--url", stack.url("api"))
    sql = "select 'a' as run_id, 2 as n, ['x', 'y'] as tags"
    out = {
        form: shell("sql", sql, "--format", form, *where).stdout
        for form in ("table", "json", "csv", "parquet", "arrow")
    }
    assert json.loads(out["json"]) == [{"run_id": "a", "n": 2, "tags": ["x", "y"]}]
    assert out["csv"].decode().split() == ["run_id,n,tags", "a,2,x|y"]
    assert pl.read_parquet(io.BytesIO(out["parquet"])).rows() == [("a", 2, ["x", "y"])]
    assert pl.read_ipc_stream(io.BytesIO(out["arrow"])).rows() == [("a", 2, ["x", "y"])]
    assert "run_id" in out["table"].decode() and "1 rows" in out["table"].decode()


def test_sql_writes_files_and_tells_mistakes(stack: Stack, shell: Shell, tmp_path: Path) -> None:
    """`--output` writes the file; wrong SQL, a bad path and a cut answer are one sentence on stderr."""
    data = ("--data", str(stack.data))
    target = tmp_path / "runs.parquet"
    assert shell("sql", COUNT, "--format", "parquet", "--output", str(target), *data).returncode == 0
    assert pl.read_parquet(target).columns == ["n"]
    for arguments, names in (
        (("select nothing from runs",), b"nothing"),
        (("delete from runs",), b"SELECT"),
        ((COUNT, "--output", str(tmp_path / "no" / "where")), b"--output"),
    ):
        done = shell("sql", *arguments, *data)
        assert done.returncode != 0
        assert names in done.stderr and done.stderr.count(b"\n") == 1
        assert b"Traceback" not in done.stderr
    cut = shell("sql", "from range(200000)", "--format", "csv", *data)
    assert (cut.returncode, cut.stdout.count(b"\n"), b"limit of rows" in cut.stderr) == (1, 100_001, True)


def test_the_data_directory_says_where_everything_listens(stack: Stack) -> None:
    """`runwell.json` holds the picked ports, the supervisor's pid and the version; every port answers."""
    where = json.loads((stack.data / "runwell.json").read_text())
    assert (where["pid"], where["version"]) == (stack.process.pid, __version__)
    for name in ("http", "grpc", "api"):
        with socket.create_connection((where[name]["host"], where[name]["port"]), timeout=10):
            assert where[name]["host"] == "127.0.0.1"


@pytest.mark.parametrize("option", ["--api-port", *also("faults", "--http-port", "--grpc-port")])
def test_a_port_in_use_is_one_sentence_that_names_its_option(tmp_path: Path, option: str) -> None:
    """`serve` ends at once, with the option, the port and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        others = [o for o in ("--http-port", "--grpc-port", "--api-port") if o != option]
        free = [part for o in others for part in (o, "0")]
        done = runwell("serve", "--data", str(tmp_path / "data"), option, port, *free)
    error = done.stderr.decode()
    assert done.returncode == 2
    assert f"runwell: {option} {port}: already in use on 127.0.0.1" in error
    assert "Traceback" not in error


def test_a_second_collector_on_the_same_data_is_refused(stack: Stack) -> None:
    """Two collectors never share a data directory: the second says which it is and ends."""
    done = runwell("serve", "--data", str(stack.data), "--http-port", "0", "--grpc-port", "0", "--api-port", "0")
    assert done.returncode != 0
    assert str(stack.data) in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert stack.client.status()


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_a_damaged_recording_is_named_and_the_rest_is_sent(
    stack: Stack, shell: Shell, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    """Of a compressed recording that is damaged is sent what can be unpacked; the exit code tells of the rest."""
    whole = pack(lines(SETS[0]))
    path = tmp_path / "damaged"
    path.write_bytes(whole[:1000] + bytes(64) + whole[1064:] + pack(lines(SETS[0])))
    done = shell("replay", str(path), "--endpoint", stack.url("http"))
    assert (done.returncode, b" 0 records in them rejected" in done.stdout) == (1, True)
    said = done.stderr.decode()
    assert f"runwell: {path}: the " in said and ("damaged near byte" in said or "may be damaged" in said)


@pytest.mark.parametrize("below", ["", "data"])
def test_a_directory_of_no_use_is_one_sentence_that_names_it(tmp_path: Path, below: str) -> None:
    """A data directory that is a file, or lies below one, is refused with what to do."""
    (tmp_path / "file").write_text("not a directory")
    done = runwell("serve", "--data", str(tmp_path / "file" / below))
    error = done.stderr.decode()
    assert done.returncode == 2
    assert f"--data {tmp_path / 'file' / below}" in error
    assert error.count("\n") == 1


def test_replay_finds_a_collector_on_an_ipv6_address(tmp_path: Path) -> None:
    """A collector on ::1 is found through its data directory like any other."""
    with running(tmp_path / "data", "--host", "::1") as stack:
        recording = str(TRIGGER_DEV / f"{SETS[3]}.jsonl.gz")
        done = runwell("replay", recording, "--data", str(stack.data))
        assert (done.returncode, b" 0 records in them rejected" in done.stdout) == (0, True), done.stderr.decode()
