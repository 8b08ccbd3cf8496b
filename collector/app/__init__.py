"""Composition roots: one per process, started in order, stopped in reverse. Only here and above is the clock read."""
