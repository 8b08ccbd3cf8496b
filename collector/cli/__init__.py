"""The command line, one file a verb. Heavy imports happen inside the verb that needs them."""

from __future__ import annotations

import sys


def main() -> None:
    """Run `runwell …`. Errors are one sentence on stderr: exit code 2 for usage, 1 for what failed."""
    from collector.cli.root import run

    sys.exit(run(sys.argv[1:]))
