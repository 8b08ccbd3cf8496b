"""The bench of inferring limits: it runs, and holds what it promises."""

from __future__ import annotations

import pytest

from bench import inferring
from collector.analyse import inference


def test_inferring_is_measured_and_held_to_what_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day of few runs shows its limit; more than twelve times the CPU or the memory for ten times the runs is 1."""
    held, waits = inferring.day(4_000)
    found = inference.infer(held, waits, from_ns=inferring.T0, to_ns=inferring.T0 + inferring.DAY_NS)
    assert found["limit"].to_list() == [inferring.SLOTS]
    assert inferring.main(["400"]) == 0
    for many, code in (((12.0, 1_200), 0), ((12.1, 100), 1), ((1.0, 1_201), 1)):
        monkeypatch.setattr(inferring, "apart", {inferring.FEW: (1.0, 100), inferring.MANY: many}.__getitem__)
        assert inferring.main([]) == code
