"""Sockets, bound before anything starts, so that a port in use is one clear sentence."""

from __future__ import annotations

import errno
import os
import socket
import sys
import tempfile
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

from collector.model.errors import UsageError

BACKLOG = 2048
"""Connections that may wait until they are accepted."""
_LONGEST_PATH = 100
"""Bytes; systems allow 103 to 107."""


def inherited() -> socket.socket | None:
    """Return the listening socket that the supervisor passed as this process's argument, None when it passed none."""
    return socket.socket(fileno=int(sys.argv[1])) if len(sys.argv) > 1 else None


def inside(data: Path) -> str:
    """Return the gRPC address at which the receive process of data directory *data* serves the gate: a Unix socket.

    It stands in the directory, or in the one for temporary files where that path is longer than a socket's may be.
    """
    path = os.fsencode(data.resolve() / "receive.sock")
    if len(path) > _LONGEST_PATH:
        name = f"runwell-{blake2b(path, digest_size=12).hexdigest()}.sock"
        path = os.fsencode(Path(tempfile.gettempdir()) / name)
    return f"unix:{quote(path)}"


def bind(host: str, port: int, option: str) -> socket.socket:
    """Return a socket bound to *host*:*port* (0 picks a free one), or raise UsageError naming *option*."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as e:
        sock.close()
        raise UsageError(taken(host, port, option, e)) from None
    return sock


def taken(host: str, port: int, option: str, error: OSError) -> str:
    """Return the sentence for a port that cannot be had."""
    if error.errno == errno.EADDRINUSE:
        return (
            f"{option} {port}: already in use on {host}; end what listens there or choose another port (0 picks one)."
        )
    return f"{option} {port}: cannot listen on {host} ({error.strerror}); choose another port."
