"""`python -m dashboard`: the app as a process that ends when its stdin does: it never outlives who started it."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from streamlit.web import cli


def _end_with_stdin() -> None:
    """Wait for the end of stdin, then end at once: nothing here has to be finished."""
    while os.read(0, 1024):
        pass
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    sys.argv[1:1] = ["run", str(Path(__file__).with_name("streamlit_app.py"))]
    cli.main()
