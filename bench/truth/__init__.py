"""A simulated world beside what the product says of it: `python -m bench.truth`."""
