"""How well missed runs are told: random schedules as cron fires them, and timers, with and without planted misses.

    python -m bench.schedules 4000          # so many schedules, from seed 0 on
    python -m bench.schedules 200 --show    # and say what was told wrongly

A schedule is a cron expression on the clock of a zone, as `cronsim` fires it, or a timer that counts from the start or
end of the run before. Its runs come a little late; of some a few were lost before. Half of the days that are judged lie
within four weeks after a change of that clock. Reports are made for another zone half of the time. Nothing here knows
how the detector learns.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from collector.analyse.anomalies import schedules
from collector.model.units import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS

ZONES = (
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "America/St_Johns",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "America/Santiago",
    "Africa/Casablanca",
)
PLANS = ("none", "one", "some", "day", "last", "stopped")
"""What is planted in the day that is judged."""
CRONS = (
    "every */{n}",
    "hours */{n} {a}-{b}",
    "hours */{n} {a}-{b} * * 1-5",
    "hourly {m} {a}-{b} * * 1-5",
    "hourly {m} * * * *",
    "often */{n} * * * 1-5",
    "weekend {m} */{h} * * 6,0",
    "daily {m} {a} * * *",
    "workdays {m} {a} * * 1-5",
    "weekly {m} {a} * * {d}",
    "thirds {m},{m20},{m40} {a}-{b} * * 1-5",
    "thrice {m} {a},{c},{b} * * 1-5",
    "uneven */{u} * * * *",
    "night */{n} {b}-23,0-{a} * * *",
    "sixths {m} */{h} * * *",
    "monthly {m} {a} 1 * *",
    "three days {m} {a} * * 1,3,5",
)


@dataclass(frozen=True, slots=True)
class Case:
    """A schedule, when its runs came, and which of the judged ones were taken away (when they were due)."""

    kind: str
    text: str
    zone: str
    report_zone: str
    days: float
    noise: str
    plan: str
    arrivals: list[int]
    planted: list[int]
    from_ns: int
    to_ns: int

    @property
    def is_shifted(self) -> bool:
        """Tell whether its clock was set lately, and is not the report's: nobody can know when it is due."""
        edges = (self.from_ns - int(self.days * DAY_NS), self.to_ns)
        is_set = any(len({_offset(zone, at) for at in edges}) > 1 for zone in (self.zone, self.report_zone))
        return self.zone != self.report_zone and is_set


def _offset(zone: str, at_ns: int) -> timedelta | None:
    return datetime.fromtimestamp(at_ns // SECOND_NS, ZoneInfo(zone)).utcoffset()


def case(seed: int) -> Case:
    """Return a random schedule with its history and the day to judge."""
    dice = random.Random(seed)
    zone, report_zone = dice.choice(ZONES), dice.choice(ZONES)
    report_zone = zone if dice.random() < 0.5 else report_zone
    end = _day(dice, zone).astimezone(ZoneInfo(report_zone)).replace(hour=dice.choice((0, 6, 7, 12)), minute=0)
    to_ns = int(end.timestamp()) * SECOND_NS // HOUR_NS * HOUR_NS
    from_ns = to_ns - 25 * HOUR_NS
    days = dice.choice((10, 14, 21, 28))
    start = datetime.fromtimestamp(from_ns // SECOND_NS, UTC) - timedelta(days=days)
    if dice.random() < 0.15:
        kind, text, due = "timer", *_timer(dice, start, to_ns)
    else:
        kind, text, due = *(_cron(dice)), []
        due = list(_fires(text, zone, start, to_ns))
    noise, came = _came(dice, due)
    lost = dice.choice((0.0, 0.0, 0.0, 0.01))
    plan = dice.choice(PLANS)
    planted = _planted(dice, plan, [d for d in due if from_ns <= d < to_ns - 20 * MINUTE_NS])
    gone = set(planted)
    arrivals = sorted(
        at
        for d, at in zip(due, came, strict=True)
        if d not in gone and at < to_ns and (d >= from_ns or dice.random() >= lost)
    )
    return Case(kind, text, zone, report_zone, days, noise, plan, arrivals, planted, from_ns, to_ns)


def _day(dice: random.Random, zone: str) -> datetime:
    day = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=dice.randrange(365))
    if dice.random() < 0.5:
        return day
    offsets = [(day + timedelta(days=k)).astimezone(ZoneInfo(zone)).utcoffset() for k in range(366)]
    changes = [k for k in range(1, 366) if offsets[k] != offsets[k - 1]]
    return (
        day + timedelta(days=dice.choice(changes) + dice.choice((0, 0, 1, 1, 2, 3, 5, 9, 16, 25))) if changes else day
    )


def _cron(dice: random.Random) -> tuple[str, str]:
    kind, _, text = dice.choice(CRONS).partition(" ")
    if kind == "three":
        kind, text = "three days", text.removeprefix("days ")
    a = dice.randrange(0, 12)
    m = dice.choice((0, 0, 0, 7, 15, 30, 45, dice.randrange(60)))
    values = {
        "n": dice.choice((5, 10, 15, 20, 30)),
        "a": a,
        "b": dice.randrange(a + 4, 23),
        "c": a + 2,
        "m": m,
        "m20": (m + 20) % 60,
        "m40": (m + 40) % 60,
        "h": dice.choice((2, 3, 4, 6)),
        "d": dice.randrange(7),
        "u": dice.choice((7, 8, 9, 11, 13, 25, 40)),
    }
    text = text.format(**values)
    return kind, " ".join((text.split() + ["*"] * 5)[:5])


def _fires(text: str, zone: str, start: datetime, to_ns: int) -> Iterator[int]:
    for fire in CronSim(text, start.astimezone(ZoneInfo(zone))):
        at = int(fire.timestamp()) * SECOND_NS
        if at >= to_ns:
            return
        yield at


def _timer(dice: random.Random, start: datetime, to_ns: int) -> tuple[str, list[int]]:
    every = dice.choice((7, 13, 45, 50, 90, 100, 250)) * MINUTE_NS
    lasts = dice.choice((0.0, 0.02, 0.1))
    at, due = int(start.timestamp()) * SECOND_NS + dice.randrange(HOUR_NS), []
    while at < to_ns:
        due.append(at)
        at += every + int(dice.uniform(0.5, 1.0) * lasts * every)
    return f"every {every // MINUTE_NS} min, drifts by {lasts:.0%}", due


def _came(dice: random.Random, due: list[int]) -> tuple[str, list[int]]:
    noise = dice.choice(("exact", "exact", "seconds", "queue", "skewed", "stalls"))
    if noise in ("exact", "stalls"):
        delays = [dice.uniform(0, 3) for _ in due]
    elif noise == "seconds":
        delays = [dice.expovariate(1 / 12) for _ in due]
    elif noise == "queue":
        delays = [dice.expovariate(1 / 5) + (dice.uniform(30, 100) if dice.random() < 0.03 else 0) for _ in due]
    else:
        delays = [dice.gauss(-1, 0.7) for _ in due]
    came = [d + int(s * SECOND_NS) for d, s in zip(due, delays, strict=True)]
    if noise == "stalls":  # what is due while a queue stands still comes when it goes on
        days = range(due[0] // DAY_NS, due[-1] // DAY_NS + 1) if due else range(0)
        for day in (d for d in days if dice.random() < 0.3):
            begin = day * DAY_NS + dice.randrange(DAY_NS)
            end = begin + dice.randrange(5 * MINUTE_NS, 40 * MINUTE_NS)
            came = [end + (at - begin) // 100 if begin <= at < end else at for at in came]
    return noise, came


def _planted(dice: random.Random, plan: str, due: list[int]) -> list[int]:
    if plan == "none" or not due:
        return []
    if plan == "one":
        return [dice.choice(due)]
    if plan == "some":
        return sorted(dice.sample(due, min(len(due), dice.randrange(2, 6))))
    if plan == "day":
        return due
    k = dice.randrange(len(due))
    return due[-min(len(due), 3) :] if plan == "last" else due[k:]


@dataclass(slots=True)
class Score:
    """Counts over cases."""

    schedules: int = 0
    learnt: int = 0
    quiet: int = 0
    planted: int = 0
    found: int = 0
    slots: int = 0
    found_slots: int = 0
    false: int = 0
    """Schedules with a missed run told that was not planted."""
    late: int = 0
    double: int = 0


def judge(c: Case) -> tuple[bool, list[int], list[int], Counter[str]]:
    """Return (whether a cadence was learnt, slots told rightly, told wrongly, kinds of what else was told)."""
    history = [a for a in c.arrivals if a < c.from_ns]
    cadence = schedules.learn(history, c.report_zone, until_ns=c.from_ns)
    if cadence is None:
        return False, [], [], Counter()
    told = schedules.deviations(cadence, c.arrivals, from_ns=c.from_ns, to_ns=c.to_ns)
    left, right, wrong = set(c.planted), [], []
    for d in told:
        if d.what != "missed":
            continue
        near = min(left, key=lambda p: abs(p - d.slot_ns), default=None)
        far = getattr(cadence, "every_ns", 0) if c.kind == "timer" else 0  # a drift is nobody's to foresee
        if near is not None and abs(near - d.slot_ns) <= far + max(cadence.grace_ns, 2 * MINUTE_NS) + (
            HOUR_NS if c.is_shifted else 0
        ):
            left.discard(near)
            right.append(near)
        else:
            wrong.append(d.slot_ns)
    return True, right, wrong, Counter(d.what for d in told if d.what != "missed")


def main() -> None:
    """Judge schedules, and print how many there were of each kind, and what was told."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--kind")
    args = parser.parse_args()
    scores: dict[str, Score] = {}
    spent = 0.0
    for seed in range(args.first, args.first + args.n):
        c = case(seed)
        if args.kind and c.kind != args.kind:
            continue
        begun = time.process_time()
        is_learnt, right, wrong, others = judge(c)
        spent += time.process_time() - begun
        for name in (c.kind, "all"):
            s = scores.setdefault(name, Score())
            s.schedules += 1
            s.learnt += is_learnt
            s.quiet += not c.planted
            s.planted += bool(c.planted)
            s.found += bool(right)
            s.slots += len(c.planted)
            s.found_slots += len(right)
            s.false += bool(wrong)
            s.late += others["late"] > 0
            s.double += others["double"] > 0
        if args.show and (wrong or others or len(right) < len(c.planted)):
            first = [f"{_moment(w):%a %m-%d %H:%M}" for w in wrong[:4]]
            print(
                f"{seed} {c.kind}: {c.text!r} {c.zone} for {c.report_zone}, {c.days} d, {c.noise}, {c.plan}: "
                f"found {len(right)} of {len(c.planted)}, wrong {len(wrong)} {first} {dict(others)}, "
                f"{_moment(c.from_ns):%a %Y-%m-%d %H:%M}{'' if is_learnt else ' UNLEARNT'}"
            )
    print("| schedule | tried | learnt | told falsely | with planted misses | told | planted misses | told | late |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, s in sorted(scores.items(), key=lambda i: (i[0] == "all", i[0])):
        cells = (name, s.schedules, s.learnt, s.false, s.planted, s.found, s.slots, s.found_slots, s.late)
        print("|", " | ".join(str(cell) for cell in cells), "|")
    print(f"{1000 * spent / max(args.n, 1):.1f} ms of CPU a schedule")


def _moment(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns // SECOND_NS, UTC)


if __name__ == "__main__":
    main()
