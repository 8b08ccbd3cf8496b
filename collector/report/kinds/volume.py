"""More or fewer runs of a task than arrive at such hours of such days."""

from __future__ import annotations

from dataclasses import dataclass

from collector.model.report import Kind
from collector.model.shown import count
from collector.report.found import Found, Rate
from collector.report.kinds.kind import OPTIONS, HourlyKind, Part
from collector.report.phrases import history, now, usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(HourlyKind):
    """Runs that arrive."""

    def title(self, found: Found, name: str, zone: str) -> str:
        more = "More" if found.direction == "up" else "Fewer"
        return f"{more} runs of {name} than usual: {now(found)} arrived, about {usual(found)} expected"

    def what(self, found: Found, zone: str) -> str:
        low, high = found.expected.low, found.expected.high
        return "" if low is None or high is None else f"{count(round(low))} to {count(round(high))} are usual."

    def baseline(self, found: Found) -> str:
        f = found.of(Rate)
        return history(f, f"{count(f.history_n)} runs arrived")

    def threshold(self, found: Found) -> str:
        return (
            f"At least {OPTIONS.volume_least_ratio:g} times (or one in {OPTIONS.volume_least_ratio:g} of) the "
            f"expected number, {OPTIONS.volume_least_excess:g} runs apart, {OPTIONS.volume_usual_margin:g} times as "
            f"unusual as any day before ({OPTIONS.volume_hour_margin:g} times for an hour alone), q of at most "
            f"{OPTIONS.volume_q:g}"
        )

    def axis(self, found: Found) -> str:
        return "runs that arrived per hour"


VOLUME = Volume(
    kind=Kind.VOLUME,
    brief=("runs of ", "more than usual", "fewer than usual"),
    rank=90,
    explains=(Part.QUEUE,),
    is_loss=True,
    is_all=True,
    has_error=False,
    history_days=OPTIONS.volume_history_days,
)
KINDS = (VOLUME,)
