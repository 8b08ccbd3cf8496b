"""`python -m dashboard ADDRESS PORT [HOST …]`: the app behind its door, as a process that ends when its stdin does.

It never outlives who started it. HOST: what it is known by beside this machine's own names.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from starlette.middleware import Middleware
from streamlit.starlette import App

from collector.model.hosts import Hosts
from dashboard.door import Door


def _end_with_stdin() -> None:
    """Wait for the end of stdin, then end at once: nothing here has to be finished."""
    while os.read(0, 1024):
        pass
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    address, port, *hosts = sys.argv[1:]
    app = App(
        Path(__file__).with_name("streamlit_app.py"),
        middleware=[Middleware(Door, hosts=Hosts.of(hosts))],
    )
    app.run(config={"server.address": address, "server.port": int(port)})
