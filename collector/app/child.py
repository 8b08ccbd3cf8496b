"""How a supervisor and its children speak.

Settings come as one line of JSON on stdin; a child that waits for them is a spare, loaded and ready to take over. A
child writes one JSON line to stdout, `{"ready": {"http": {"host": …,
"port": …}}}` or `{"error": "sentence"}` with exit code 2, and ends when its stdin does: so it never outlives the
process that started it, however that died.

Once told to stop, a child lasts for so many seconds and no longer: an alarm of the kernel ends it, whichever thread
works at what. What it had begun is begun again by the next start, which is a recovery like any other.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from collector.app.door import raise_files
from collector.model.errors import UsageError
from collector.settings import Settings
from collector.telemetry import log

USAGE = 2
SUPERVISOR = "-supervisor"
"""Ending of the name of the lock that a role's supervisor holds, beside the one of the process itself."""
GRACE_S = 1
"""For requests that are being answered when a process is told to stop."""
LAST_S = 2.1
"""How long a process still lasts once it is told to stop, unless it asks for longer."""
Address = dict[str, Any]


def read_settings() -> Settings:
    """Wait for the settings that the supervisor passes and return them; raise EOFError when it ends instead."""
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return Settings.model_validate_json(line)


def announce(addresses: dict[str, Address]) -> None:
    """Tell the supervisor where this child listens."""
    _say({"ready": addresses})


def give_up(error: UsageError) -> int:
    """Tell the supervisor that starting again would not help; return the exit code."""
    _say({"error": str(error)})
    return USAGE


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def until_told(last_s: float = LAST_S) -> None:
    """Return on SIGTERM, SIGINT or the end of stdin; *last_s* later the process is over."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    signal.setitimer(signal.ITIMER_REAL, last_s)


def _follow_supervisor() -> None:
    """Wait for the end of stdin, then stop as if told to; a process that is still starting ends at once."""
    while os.read(0, 1024):
        pass
    signal.setitimer(signal.ITIMER_REAL, LAST_S)  # also where the loop never comes to hear of it
    os.kill(os.getpid(), signal.SIGTERM)


def data_directory(path: Path) -> Path:
    """Return *path*, created for its owner only."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def own_file(path: Path) -> IO[str]:
    """Return *path*, open to append, made for its owner only whatever the umask."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "a")


def lock(directory: Path, role: str, wait_s: float = 10.0) -> IO[str]:
    """Return the held lock of *role* in *directory*; raise UsageError if another process holds it for *wait_s*.

    The kernel frees it with the process, so a stale file never blocks; but a process whose supervisor was killed
    takes a moment to finish what it had begun.
    """
    file = own_file(directory / f"{role}.lock")
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.close()
                raise UsageError(
                    f"--data {directory}: another runwell ({role.removesuffix(SUPERVISOR)}) is using it; "
                    "end that one or choose another directory."
                ) from None
            time.sleep(0.05)


def run(process: str, main: Callable[[Settings], Any]) -> int:
    """Run the coroutine of child *process* and end the process with it; return the exit code where it cannot start."""
    import uvloop

    log.configure(process)
    raise_files()
    os.umask(0o077)  # what is kept is for its owner only
    try:
        settings = read_settings()
    except (EOFError, KeyboardInterrupt):  # never needed
        return 0
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    threading.Thread(target=_follow_supervisor, name="supervisor-watch", daemon=True).start()

    async def live() -> None:
        await main(settings)
        os._exit(0)  # threads that are still at work are not waited for

    try:
        uvloop.run(live())
    except UsageError as e:
        return give_up(e)
    return 0
