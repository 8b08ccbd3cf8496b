"""Pieces that pages are put together from. Text of telemetry goes only where it stays text."""
