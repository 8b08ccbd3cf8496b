"""What differs between HTTP ports: what a connection may cost, and the words in which one is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from collector.model.errors import Refused
from collector.model.hosts import Hosts
from collector.receive.keyring import Judge
from collector.settings import Connections

Written = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, headers without the length, and body of a refusal."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What differs between ports."""

    limits: Connections
    section: str
    """Section of the settings that *limits* is."""
    instead: str
    """What speakers of HTTP/2 are told to use."""
    write: Callable[[Refused, str], Written]
    """Writes a refusal for a request that states this Content-Type, which may be empty."""
    hosts: Hosts = field(default_factory=Hosts)
    """What the port is known by beside this machine's own names."""
    body: int | None = None
    """Bytes of the largest body. None: the port judges bodies itself, and whatever has a complete head; why the wall
    would refuse it stands in `scope["state"]["refused"]`."""
    always: frozenset[str] = frozenset()
    """Paths that are passed on even when the port is crowded."""
    judge: Judge = lambda method, path, headers: None
    """Raises Refused for a head whose key does not let it in, before anything of a body is read."""
    noted: Callable[[Refused, list[tuple[bytes, bytes]]], None] = lambda error, headers: None
    """Told of what the wall refuses itself, with the headers it has read."""
