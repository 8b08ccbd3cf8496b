"""The command line, one file a verb. Heavy imports happen inside the verb that needs them."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run `runwell …`. Errors are one sentence on stderr; `exits` says which codes there are."""
    from collector.cli import exits
    from collector.cli.root import run

    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or exits.NOTHING
    os._exit(code)  # the interpreter's own end takes longer than all the rest of a stop
