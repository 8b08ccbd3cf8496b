"""Every kind of anomaly once. Detection, folding, states and words derive from it."""

from __future__ import annotations

from collector.model.report import Kind
from collector.report.kinds import new, paces, saturation, schedules, shares, silence, stuck, volume
from collector.report.kinds.kind import AnomalyKind

FAMILIES = (shares, paces, volume, saturation, schedules, stuck, new, silence)


def _register() -> dict[Kind, AnomalyKind]:
    objects = [kind for family in FAMILIES for kind in family.KINDS]
    found = {one.kind: one for one in objects}
    if len(found) != len(objects) or found.keys() != set(Kind):
        raise ValueError(f"not one object for each of {sorted(set(Kind) ^ found.keys())}")
    return found


KINDS = _register()
