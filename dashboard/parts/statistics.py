"""The few statistics that pages show, from the one place that computes them."""

from collector.model.statistics import ENOUGH, share, wilson

__all__ = ["ENOUGH", "share", "wilson"]
