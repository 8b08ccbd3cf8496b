"""Pure analytics: frames in, frames out, `as_of` an argument. Reads no clock, no database, no network.

`runs.build` turns the records of some runs into their rows:
`evidence` (each record once, attempts numbered) → `phases`, `waits` → `attempts` → `runs`, `status` last.
"""
