"""Every field of OTLP has a place in the rows."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor

from collector.model.signals import SIGNALS, Signal
from tests.decode.messages import Leaf, decode, leaves, texts

ALL = [(signal, leaf) for signal in SIGNALS for leaf in leaves(signal.request.DESCRIPTOR)]


def _shown(field: FieldDescriptor, value: Any) -> str:
    """Return *value* as a row shows it."""
    if isinstance(value, bytes):
        return value.hex() if field.name.endswith("_id") else base64.b64encode(value).decode()
    return str(value)


@pytest.mark.parametrize(("signal", "leaf"), ALL, ids=[f"{s.name}:{leaf.name}" for s, leaf in ALL])
def test_every_field_of_otlp_is_kept(signal: Signal, leaf: Leaf) -> None:
    """What a sender puts into any field can be read back from a column, or from the JSON of one."""
    one, other = leaf.values()
    shown = texts(_with_record(signal, leaf, one))
    if leaf.field.type not in (FieldDescriptor.TYPE_ENUM, FieldDescriptor.TYPE_BOOL):
        assert _shown(leaf.field, one) in shown
    assert shown != texts(_with_record(signal, leaf, other))


def _with_record(signal: Signal, leaf: Leaf, value: Any) -> dict[str, list[dict[str, Any]]]:
    """Decode a request with *value* in the field and one record beside it: a resource without records is not kept."""
    message = leaf.request(signal, value)
    kind = {"logs": "logs", "traces": "spans", "metrics": "metrics"}[signal.name]
    blocks = getattr(message, f"resource_{kind}")
    block = blocks[0] if len(blocks) else blocks.add()
    groups = getattr(block, f"scope_{kind}")
    group = groups[0] if len(groups) else groups.add()
    if signal.name == "logs" and not group.log_records:
        group.log_records.add()
    if signal.name == "metrics":
        metric = group.metrics[0] if group.metrics else group.metrics.add()
        series = getattr(metric, metric.WhichOneof("data") or "gauge")
        if not series.data_points:
            series.data_points.add()
    rows, said = decode(signal, "protobuf", message.SerializeToString())
    assert (said.records, said.rejected) == (1, 0)
    return rows
