"""Official clients through a collector that dies, refuses, dawdles, loses answers and is full.

What a client believes was delivered (its exporter's own result) is compared with what is stored.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import httpx
import pytest
from official import Family, Verdict, families, judge
from proxy import Proxy, proxied
from stack import Stack, running, until

from tests.length import longer

pytestmark = [pytest.mark.e2e, pytest.mark.faults]

RESTARTS = longer("chaos", 1, 10)
SETTINGS = {
    "RUNWELL_STORE__CHECKPOINT": "PT0.5S",
    "RUNWELL_STORE__QUERY_ROWS": "10000000",
    "RUNWELL_JOURNAL__FREE_DISK": "1MiB",
    "RUNWELL_JOURNAL__FULL_SIZE": "512KiB",
}
"""The journal is soon full, so it has to forget what is stored while clients may still send that again."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a collector with a small journal."""
    with running(tmp_path_factory.mktemp("small") / "data", env=SETTINGS) as stack:
        yield stack


def test_clients_lose_nothing_through_restarts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """However often receive is killed, every record of every client is delivered, and stored exactly once."""
    with running(tmp_path / "data") as stack, families("restarts", stack.url("http"), stack.url("grpc")) as clients:
        for _ in range(RESTARTS):
            time.sleep(0.5)  # some traffic, before and between
            os.kill(stack.child("receive").pid, signal.SIGKILL)
            until(lambda: _answer(stack.url("http")) == 200, why="receive to be back")
        verdicts = _judge(capsys, stack, "restarts", clients)
    assert {label: v.failed for label, v in verdicts.items() if v.failed} == {}


def test_what_clients_believe_delivered_is_stored_once_through_a_bad_network(
    small: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    """A closed port, slow wires and lost answers cost no record that a client believes delivered, and double none."""
    with (
        proxied(small.ports["http"]) as http,
        proxied(small.ports["grpc"]) as grpc,
        families("network", http.url, grpc.url) as clients,
    ):
        both: tuple[Proxy, ...] = (http, grpc)
        time.sleep(1)
        for proxy in both:
            proxy.refuse()
        time.sleep(1)
        for proxy in both:
            proxy.accept()
            proxy.delay_s = 0.3
        time.sleep(3)
        for proxy in both:
            proxy.delay_s = 0
        for _ in range(6):
            for proxy in both:
                proxy.lose_answers()
            time.sleep(0.5)
        assert sum(proxy.lost_answers for proxy in both) > 0
        _judge(capsys, small, "network", clients)


def test_what_clients_believe_delivered_is_stored_once_by_a_full_collector(
    small: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    """A journal that is full because the store stands still refuses with 503 and a delay, then goes on by itself."""
    store = small.child("store")
    with families("full", small.url("http"), small.url("grpc"), size=2000) as clients:
        os.kill(store.pid, signal.SIGSTOP)
        try:
            until(lambda: _answer(small.url("http")) == 503, why="the journal to be full")
            time.sleep(2)
        finally:
            os.kill(store.pid, signal.SIGCONT)
        until(lambda: _answer(small.url("http")) == 200, why="the journal to have room again")
        _judge(capsys, small, "full", clients)


def _answer(url: str) -> int:
    """Return what an empty request gets."""
    answer = httpx.post(f"{url}/v1/logs", json={}, trust_env=False)
    if answer.status_code == 503:
        assert 1 <= int(answer.headers["retry-after"]) <= 5
    return answer.status_code


def _judge(capsys: pytest.CaptureFixture[str], stack: Stack, story: str, clients: list[Family]) -> dict[str, Verdict]:
    """Compare belief with store, client by client; print sums per exporter: delivered, failed, stored though failed."""
    results = {label: said for family in clients for label, said in family.finish().items()}
    stack.applied()
    verdicts = judge(stack.client, story, results)
    sums: dict[str, tuple[int, ...]] = {}
    for label, verdict in verdicts.items():
        name = "-".join(label.split("-")[:2])
        sums[name] = tuple(map(sum, zip(sums.get(name, (0, 0, 0)), astuple(verdict), strict=True)))
    with capsys.disabled():
        print(f"\n{story}: (believed delivered, believed lost, of those stored) {sums}", file=sys.stderr)
    return verdicts
