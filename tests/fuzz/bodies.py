"""Coverage-guided fuzzing of what happens to a body: decompress, decode, rows as Arrow.

`python -m tests.fuzz.bodies SECONDS` (atheris has to be installed). Seeds are the recordings and the saved vectors.
Every input must end in an answer or a `Refused`, within `_LONGEST_S` of processor time; anything else ends the run
and shows the input.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
import time
from base64 import b64decode
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["collector.decode", "collector.otlp", "collector.model"]):
    from collector.decode import Batch
    from collector.model.errors import Refused
    from collector.model.signals import RECEIVED
    from collector.otlp.compression import decompress
    from collector.settings import Limits

ROOT = Path(__file__).parents[2]
LIMITS = Limits(body=2**22)  # type: ignore[arg-type]
COMPRESSIONS = ("", "gzip", "zstd")
_LONGEST_S = 1.0
_NOW = 1_760_000_000_000_000_000
counts = {"executions": 0, "accepted": 0, "refused": 0, "slowest_ms": 0.0}


def one(data: bytes) -> None:
    """Take one body: its first byte chooses signal, encoding and compression."""
    if not data:
        return
    counts["executions"] += 1
    choice, body = data[0], data[1:]
    signal = RECEIVED[choice & 3]
    encoding = "json" if choice & 4 else "protobuf"
    compression = COMPRESSIONS[(choice >> 3) % 3]
    began = time.thread_time()
    batch = Batch(LIMITS)
    try:
        plain = decompress(body, compression, int(LIMITS.body))
        batch.add(signal, encoding, plain, project="p", received_ns=_NOW)  # type: ignore[arg-type]
        for table in batch.tables().values():
            table.validate(full=True)
        counts["accepted"] += 1
    except Refused as e:
        if len(e.message) > 2_000:
            raise AssertionError(f"an error of {len(e.message)} characters") from e
        counts["refused"] += 1
    took = time.thread_time() - began  # of this thread: a busy machine is no hang
    counts["slowest_ms"] = max(counts["slowest_ms"], round(took * 1000, 1))
    if counts["executions"] % 20_000 == 0:  # libFuzzer ends the process itself, so there is no last word
        print(json.dumps(counts), flush=True)
    if took > _LONGEST_S:
        raise AssertionError(f"took {took:.1f} s")


def seeds(directory: Path) -> int:
    """Write the seeds to *directory*; return how many."""
    made: list[bytes] = []

    def add(signal: str, encoding: str, body: bytes) -> None:
        index = next(i for i, s in enumerate(RECEIVED) if s.name == signal)
        choice = index | (4 if encoding == "json" else 0)
        made.append(bytes([choice]) + body)
        made.append(bytes([choice | 8]) + gzip.compress(body, mtime=0))

    for path in sorted((ROOT / "sample_data" / "trigger-dev-4.8.3").glob("*.jsonl.gz")):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            request: dict[str, Any] = json.loads(line)
            body = b64decode(request["body"])
            if request["content_encoding"] == "gzip":
                body = gzip.decompress(body)
            if len(body) < 20_000:
                add(request["signal"], "json" if "json" in request["content_type"] else "protobuf", body)
    for path in (ROOT / "tests" / "vectors").rglob("*.*"):
        if path.suffix in (".json", ".pb"):
            signal = {"events": "logs", "logs": "logs", "metrics": "metrics"}.get(path.stem, "traces")
            add(signal, "json" if path.suffix == ".json" else "protobuf", path.read_bytes())
    for i, seed in enumerate(made):
        (directory / f"{i:04}").write_bytes(seed)
    return len(made)


def main() -> None:
    """Fuzz for the given seconds and say what happened."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    with tempfile.TemporaryDirectory() as name:
        found = seeds(Path(name))
        print(f"{found} seeds", flush=True)
        atheris.Setup(
            [sys.argv[0], name, f"-max_total_time={seconds}", "-max_len=32768", "-timeout=5", "-rss_limit_mb=512"], one
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
