"""What the gate costs: the same gRPC calls straight to receive and through the gate, in one run.

`python -m bench.gate` prints Markdown: CPU time of both processes per call, and the middle latency.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import grpc.aio
import psutil
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from collector.app.allocators import environment
from collector.app.listen import inside
from collector.model.signals import BY_NAME
from collector.receive.gate import SIZE
from collector.settings import Settings

SHAPES = ((1, 2_000, 1), (1, 3_000, 16), (512, 200, 8))
"""Records in a call, calls, calls at once."""


@contextmanager
def running(role: str, settings: Settings) -> Iterator[tuple[psutil.Process, int]]:
    """Run the process of *role* until the block ends; yield it and its port."""
    with subprocess.Popen(
        [sys.executable, "-m", f"collector.app.{role}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(role),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(settings.model_dump_json() + "\n")
        process.stdin.flush()
        where = json.loads(process.stdout.readline())["ready"]
        yield psutil.Process(process.pid), next(iter(where.values()))["port"]
        process.terminate()


def body(records: int, number: int) -> bytes:
    """Return a request of its own for every *number*."""
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for i in range(records):
        record = scope.log_records.add(time_unix_nano=time.time_ns())
        record.body.string_value = f"work_{i}_started"
        attribute = record.attributes.add(key="run_id")
        attribute.value.string_value = f"run_{number}_{i}"
    return request.SerializeToString()


async def calls(target: str, bodies: list[bytes], at_once: int) -> float:
    """Make the calls; return the middle latency in ms."""
    took: list[float] = []
    left = iter(bodies)
    async with grpc.aio.insecure_channel(target) as channel:
        call = channel.unary_unary(f"/{BY_NAME['logs'].grpc_service}/Export")

        async def one_after_the_other() -> None:
            for each in left:
                began = time.monotonic()
                await call(each, wait_for_ready=True, metadata=((SIZE, str(len(each))),))
                took.append(time.monotonic() - began)

        await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    return statistics.median(took) * 1e3


def main() -> None:
    """Measure all shapes both ways."""
    print("| records a call | at once | way | CPU ms a call: receive | gate | middle latency ms |")
    print("|---|---|---|---|---|---|")
    number = 0
    with tempfile.TemporaryDirectory() as directory:
        settings = Settings(data=Path(directory), http_port=0, grpc_port=0)
        with running("receive", settings) as (receive, _), running("gate", settings) as (gate, port):
            for records, count, at_once in SHAPES:
                for way, target in (("straight", inside(settings.data)), ("gate", f"127.0.0.1:{port}")):
                    bodies = [body(records, number + i) for i in range(count)]
                    number += count
                    before = [sum(p.cpu_times()[:2]) for p in (receive, gate)]
                    latency = asyncio.run(calls(target, bodies, at_once))
                    spent = [
                        (sum(p.cpu_times()[:2]) - b) / count * 1e3 for p, b in zip((receive, gate), before, strict=True)
                    ]
                    print(f"| {records} | {at_once} | {way} | {spent[0]:.2f} | {spent[1]:.2f} | {latency:.2f} |")


if __name__ == "__main__":
    main()
