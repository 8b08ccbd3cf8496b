"""How many slots queues have, in general and in one environment or platform project."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from collector.settings.section import Section

_Slots = Annotated[int, Field(ge=0, strict=True)]
_Steps = Annotated[list[tuple[AwareDatetime, _Slots]], Field(min_length=1)]


def _said(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """Say in one sentence what a limit may be, and that steps ascend."""
    try:
        limit = read(value)
    except ValidationError:
        limit = None
    steps = [] if isinstance(limit, int) else limit
    if steps is None or any(earlier[0] >= later[0] for earlier, later in pairwise(steps)):
        raise ValueError("give a number of slots, 0 or more, or [[time with offset, slots], ...], times ascending")
    return limit


Stated = Annotated[_Slots | _Steps, WrapValidator(_said)]
"""How many slots a queue has, or since when how many."""


class QueueOverride(Section):
    """Another limit for a queue, in one environment or platform project, or both."""

    queue: str = Field(min_length=1)
    """Name of the queue."""
    platform_project: str | None = Field(default=None, min_length=1)
    """Project of the platform that it holds in, such as Trigger.dev's `proj_…`; every one without it."""
    environment: str | None = Field(default=None, min_length=1)
    """Environment that it holds in, such as `PRODUCTION`; every one without it."""
    limit: Stated
    """As in `queues.limits`."""

    @model_validator(mode="after")
    def _is_special(self) -> QueueOverride:
        if self.platform_project is None and self.environment is None:
            raise ValueError("name a platform_project or an environment; `queues.limits` holds in all")
        return self


class Queues(Section):
    """What is known of queues and not sent by telemetry."""

    limits: dict[str, Stated] = Field(default={})
    """Concurrency limit per queue: a number, or `[[time, limit], …]` when it changed; 0 is a paused queue. Queues
    that are not named here get a limit inferred from their load, labelled so."""
    overrides: tuple[QueueOverride, ...] = ()
    """`[[queues.overrides]]` tables: `queue`, `limit`, and the `platform_project` or the `environment` where that is
    its limit, or both. What names both goes before what names a platform project, that before what names an
    environment, that before `queues.limits`."""

    @field_validator("overrides", mode="before")
    @classmethod
    def _are_tables(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple) or not all(isinstance(one, dict | QueueOverride) for one in value):
            raise ValueError("give `[[queues.overrides]]` tables")
        return value

    @field_validator("overrides")
    @classmethod
    def _once(cls, value: tuple[QueueOverride, ...]) -> tuple[QueueOverride, ...]:
        told = set()
        for o in value:
            if (whose := (o.queue, o.platform_project, o.environment)) in told:
                raise ValueError(f"queue {o.queue!r} has two limits for the same platform_project and environment")
            told.add(whose)
        return value

    def stated(self) -> list[tuple[str, str | None, str | None, Stated]]:
        """Return every limit with its queue, environment and platform project; None: every one."""
        return [
            *((queue, None, None, limit) for queue, limit in self.limits.items()),
            *((o.queue, o.environment, o.platform_project, o.limit) for o in self.overrides),
        ]
