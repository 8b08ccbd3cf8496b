"""What a second caller of the gRPC port notices of a first one that sends heavy messages, in one run.

`python -m bench.fair_grpc` prints Markdown: latencies of small exports alone and beside each kind of heavy message,
and the most memory that gate and receive had. The first caller is a process that keeps several calls under way.
"""

from __future__ import annotations

import asyncio
import gzip
import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import grpc
import grpc.aio
import numpy as np
import psutil

from bench.gate import body, running
from collector.model.signals import BY_NAME
from collector.settings import Settings

MIB = 2**20
SECONDS = 10.0
A_SECOND = 20
AT_ONCE = 8
CALL = f"/{BY_NAME['logs'].grpc_service}/Export"


def texts(number: int) -> bytes:
    """Return 48 records of a MiB each."""
    record = b"\x2a\x80\x80\x40" + b"\x0a\xfc\xff\x3f" + str(number).encode().rjust(12, b"0") + b"x" * (MIB - 16)
    return _logs(_field(0x12, record) * 48)


def empty(number: int) -> bytes:
    """Return 60,000 records without anything, in 120 kB."""
    return _logs(b"\x12\x00" * 60_000 + _field(0x12, _field(0x1A, str(number).encode())))


def unknown(number: int) -> bytes:
    """Return 32 MiB of fields that nobody knows."""
    return _logs(_field(0x12, _field(0x1A, str(number).encode()))) + b"\xa0\x06\x01" * (32 * MIB // 3)


def packed(number: int) -> bytes:
    """Return what 60 MiB of one letter become, packed."""
    return gzip.compress(_logs(_field(0x12, _field(0x1A, str(number).encode() + b"x" * (60 * MIB)))))


def _field(tag: int, content: bytes) -> bytes:
    size, varint = len(content), b""
    while size >= 0x80:
        varint += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([tag]) + varint + bytes([size]) + content


def _logs(records: bytes) -> bytes:
    return _field(0x0A, _field(0x12, records))


def channel(port: int) -> grpc.aio.Channel:
    """Return a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options)


async def small(made: grpc.aio.Channel) -> tuple[list[float], Counter[str]]:
    """Export ten records again and again; return the latencies in ms and what was answered."""
    call = made.unary_unary(CALL)
    took: list[float] = []
    answers: Counter[str] = Counter()

    async def one(number: int) -> None:
        began = time.monotonic()
        try:
            await call(body(10, number), timeout=30)
            answers["OK"] += 1
        except grpc.aio.AioRpcError as e:
            answers[e.code().name] += 1
        took.append((time.monotonic() - began) * 1e3)

    tasks = []
    for _ in range(int(SECONDS * A_SECOND)):
        tasks.append(asyncio.create_task(one(time.time_ns())))
        await asyncio.sleep(1 / A_SECOND)
    await asyncio.gather(*tasks)
    return took, answers


def heavy(port: int, name: str) -> None:
    """Keep calls with what the function *name* gives under way, each of them new, until killed."""

    async def again(call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes], make: Callable[[int], bytes]) -> None:
        while True:
            try:
                await call(await asyncio.to_thread(make, time.time_ns()), timeout=30)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.05)

    async def all_at_once() -> None:
        async with channel(port) as made:
            await asyncio.gather(*(again(made.unary_unary(CALL), globals()[name]) for _ in range(AT_ONCE)))

    asyncio.run(all_at_once())


async def measure(port: int, make: Callable[[int], bytes] | None, watched: list[psutil.Process]) -> tuple[float, str]:
    """Return the 99th percentile of small exports beside *make*'s, and the rest of the row."""
    most = 0
    async with channel(port) as made:
        await made.unary_unary(CALL)(body(1, time.time_ns()))
        load = multiprocessing.get_context("spawn").Process(target=heavy, args=(port, make.__name__)) if make else None
        if load:
            load.start()
        await asyncio.sleep(4)
        task = asyncio.create_task(small(made))
        while not task.done():
            most = max(most, sum(p.memory_full_info().pss for p in watched))
            await asyncio.sleep(0.1)
        took, answers = await task
        if load:
            load.kill()
            load.join()
    middle, p99 = np.percentile(took, [50, 99])
    said = ", ".join(f"{count} {answer}" for answer, count in answers.most_common())
    return p99, f"{middle:.0f} | {p99:.0f} | {said} | {most / MIB:.0f} |"


def main() -> None:
    """Measure alone and beside each kind."""
    print("| beside | p50 ms | p99 ms | answers | PSS of gate and receive, MiB | p99 / alone |")
    print("|---|---|---|---|---|---|")
    alone = 0.0
    for make in (None, texts, empty, unknown, packed):
        with tempfile.TemporaryDirectory() as directory:
            settings = Settings(data=Path(directory), http_port=0, grpc_port=0)
            with running("receive", settings) as (receive, _), running("gate", settings) as (gate, port):
                p99, row = asyncio.run(measure(port, make, [receive, gate]))
        alone = alone or p99
        title = " ".join((make.__doc__ or "").removeprefix("Return ").rstrip(".").split()) if make else "nothing"
        print(f"| {title} | {row} {p99 / alone:.1f} |", flush=True)


if __name__ == "__main__":
    main()
