"""Every kind of anomaly once. Detection, folding, states and words derive from it."""

from __future__ import annotations

from collections import Counter

from collector.model.report import Kind
from collector.report.kinds import new, paces, saturation, schedules, shares, silence, stuck, volume
from collector.report.kinds.kind import AnomalyKind

FAMILIES = (shares, paces, volume, saturation, schedules, stuck, new, silence)


def _register() -> dict[Kind, AnomalyKind]:
    objects = [one for family in FAMILIES for one in family.KINDS]
    if wrong := Counter(Kind) - Counter(one.kind for one in objects):
        raise ValueError(f"kinds that no family of report/kinds has an object for: {', '.join(wrong)}")
    if wrong := Counter(one.kind for one in objects) - Counter(Kind):
        raise ValueError(f"kinds with more than one object: {', '.join(wrong)}")
    return {one.kind: one for one in objects}


KINDS = _register()
