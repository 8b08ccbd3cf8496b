"""`python -m collector.cli` is `runwell`."""

from collector.cli import main

main()
