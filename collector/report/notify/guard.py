"""Where a webhook may go: names are resolved here, every answer is judged, and only a judged address is connected to.

So a name that resolves to something else a moment later, an odd spelling of an address (decimal, octal, hex, mapped)
or a redirect leads nowhere: https, port 443, addresses of the public internet, unless the settings allow more.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import httpx

from collector.report.notify import NotSent

Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
Resolve: TypeAlias = "Callable[[str, int], Sequence[str]]"
"""Host and port to all their addresses; OSError when there are none."""

_METADATA = frozenset(
    map(ipaddress.ip_address, ("169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254"))
)
"""Where clouds tell a machine its secrets; one of them is an address like any other."""
MOST_ADDRESSES = 4
"""Of a host that are tried, one after the other."""
_PUBLIC_6 = ipaddress.ip_network("2000::/3")
_TUNNELS = tuple(map(ipaddress.ip_network, ("2002::/16", "2001::/23", "3fff::/20", "192.88.99.0/24", "192.0.0.0/24")))
"""Addresses that stand for others or are set aside, and that `is_global` lets pass, in some versions of Python."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect: all *addresses* were judged; *host* is for TLS, *netloc* (with its port) for the header."""

    scheme: str
    addresses: tuple[str, ...]
    port: int
    host: str
    netloc: str
    path: str


def resolve(host: str, port: int) -> list[str]:
    """Return all addresses the system's resolver knows."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def vet(url: str, allowed: Sequence[str], ask: Resolve = resolve) -> Target:
    """Return where a webhook of *url* goes; raise NotSent where it must not.

    *allowed*: hosts, addresses and networks, each with or without a port, that may be internal and need no TLS.
    """
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii")
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        answers = [ipaddress.ip_address(a.partition("%")[0]) for a in ask(host, port)]
    except (httpx.InvalidURL, UnicodeError):
        raise NotSent("its address is not valid") from None
    except (OSError, ValueError):
        raise NotSent("its host name does not resolve") from None
    if not answers:
        raise NotSent("its host name does not resolve")
    rules = [_parted(entry) for entry in allowed]
    named = any(name == host.lower().rstrip(".") and wanted in (None, port) for name, wanted in rules)
    free = [(named and not _reserved(a)) or _listed(a, port, rules) for a in answers]
    if not all(free):
        if parsed.scheme != "https":
            raise NotSent("only https is used, but for hosts in reports.internal_hosts")
        if port != 443:
            raise NotSent("only port 443 is used, but for hosts in reports.internal_hosts")
        if any(not (ok or _public(a)) for ok, a in zip(free, answers, strict=True)):
            raise NotSent("its host has an address that is not public; reports.internal_hosts can allow it")
    literals = tuple(f"[{a}]" if a.version == 6 else str(a) for a in answers[:MOST_ADDRESSES])
    return Target(parsed.scheme, literals, port, host, parsed.netloc.decode("ascii"), parsed.raw_path.decode("ascii"))


def _public(a: Address) -> bool:
    if (
        a in _METADATA
        or not a.is_global
        or a.is_multicast
        or any(a in net for net in _TUNNELS if net.version == a.version)
    ):
        return False
    return a.version == 4 or a in _PUBLIC_6


def _reserved(a: Address) -> bool:
    """Tell whether a host's name is not enough to reach *a*: only its address or network in the settings is."""
    inner = a.ipv4_mapped if isinstance(a, ipaddress.IPv6Address) else None
    return any(x in _METADATA or x.is_link_local or x.is_multicast or x.is_unspecified for x in (a, inner or a))


def _parted(entry: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(.*[^:]):(\d+)", entry)
    host, port = (match[1], int(match[2])) if match else (entry, None)
    return host.strip("[]").lower().rstrip("."), port


def _listed(a: Address, port: int, rules: list[tuple[str, int | None]]) -> bool:
    for name, wanted in rules:
        try:
            network = ipaddress.ip_network(name, strict=False)
        except ValueError:
            continue
        if wanted in (None, port) and network.version == a.version and a in network:
            return True
    return False
