"""Generated requests in number: both encodings, plain and compressed, give the same rows, and none is an exception.

`python -m tests.fuzz.generated EXAMPLES` prints how many were tried; each is sent in five ways. The same property
runs in the test suite with few examples.
"""

from __future__ import annotations

import gzip
import sys
import time
from typing import Any

import zstandard
from hypothesis import HealthCheck, given, settings

from collector.otlp.compression import decompress
from tests.otlp.generate import requests
from tests.otlp.telemetry import decoded, encode

_CAP = 2**26
_zstd = zstandard.ZstdCompressor()
counts = {"examples": 0, "bodies": 0, "records": 0, "rejected": 0}


@given(requests())
def same_rows(made: tuple[str, Any]) -> None:
    """All five ways of sending a request give one set of rows."""
    signal, request = made
    plain = {encoding: encode(request, encoding) for encoding in ("protobuf", "json")}  # type: ignore[arg-type]
    ways = [
        ("protobuf", plain["protobuf"]),
        ("json", plain["json"]),
        ("protobuf", decompress(gzip.compress(plain["protobuf"], 1), "gzip", _CAP)),
        ("json", decompress(gzip.compress(plain["json"], 1), "gzip", _CAP)),
        ("json", decompress(_zstd.compress(plain["json"]), "zstd", _CAP)),
    ]
    results = [decoded(signal, encoding, body) for encoding, body in ways]  # type: ignore[arg-type]
    told = {repr(result) for result in results}
    assert len(told) == 1, told
    counts["examples"] += 1
    counts["bodies"] += len(ways)
    counts["records"] += results[0][1].records
    counts["rejected"] += results[0][1].rejected
    if counts["examples"] % 5_000 == 0:
        print(counts, flush=True)


def main() -> None:
    """Run as many examples as asked for."""
    examples = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    began = time.monotonic()
    settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=False
    )(same_rows)()
    print(f"{counts} in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
