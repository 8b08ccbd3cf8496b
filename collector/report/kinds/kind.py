"""What a kind of anomaly is: one object that detection, folding, states and words derive from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum, auto

from collector.analyse.anomalies.options import Options
from collector.model.report import Kind
from collector.model.units import HOUR_NS
from collector.report.found import Found

OPTIONS = Options()
LAST = 1_000
"""Rank of what is a cause of nothing."""


class Part(Enum):
    """What may show that something else is wrong: a task, a queue, or the calls to a service."""

    TASK = auto()
    QUEUE = auto()
    CALL = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyKind(ABC):
    """One kind. Its fields say how it is treated, its methods how it is told."""

    kind: Kind
    brief: tuple[str, str, str]
    """What it is called beside another: before its name, and after it, up and down."""
    has_counts: bool = False
    """Whether its counts are told there."""
    rank: int = LAST
    """As a cause: the lowest takes in others first."""
    explains: tuple[Kind | Part, ...] = ()
    """What it may take in."""
    part: Part | None = None
    """As what others take it in."""
    is_first: bool = False
    """Whether it is told before all others."""
    is_sure: bool = False
    """Whether a single case counts: some of them are told however small their excess."""
    is_loss: bool = False
    """Whether it is for the worse in both directions; of other kinds less is for the better."""
    is_all: bool = False
    """Whether all runs of its span are affected, so that there is nobody to compare them with."""
    has_error: bool = True
    """Whether the error that its runs ended with is worth telling."""
    says_end: bool = False
    """Whether it says itself until when it lasted, or is over at once."""
    back_ns: int = 0
    """How long before its span its healthy run may lie."""
    again_ns: int = 6 * HOUR_NS
    """Calm after which the same is something new."""
    history_days: float = OPTIONS.least_history_days
    """Days of history below which none is judged."""

    @abstractmethod
    def title(self, found: Found, name: str, zone: str) -> str:
        """Return one line: what differs, the number it is, and the number it usually is."""

    @abstractmethod
    def what(self, found: Found, zone: str) -> str:
        """Return in a sentence how much that is beyond chance."""

    @abstractmethod
    def threshold(self, found: Found) -> str:
        """Return what had to be exceeded."""

    def baseline(self, found: Found) -> str:
        """Return what the expectation rests on."""
        return "What was seen before"


@dataclass(frozen=True, slots=True, kw_only=True)
class HourlyKind(AnomalyKind):
    """A kind that the statistical core finds in hourly counts."""

    @abstractmethod
    def axis(self, found: Found) -> str:
        """Return what the vertical axis of its chart shows."""
