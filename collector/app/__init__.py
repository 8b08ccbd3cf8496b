"""Composition roots: one per process, started in order, stopped in reverse."""
