"""Which names a server answers to: a page whose own name was made to lead here (DNS rebinding) is told by nothing else.

Such a page has a name of its site in `Host`, whatever address that leads to, and never an address: so names are
believed where they are listed, and addresses where they are the machine's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

from collector.model.errors import Misdirected, NotHttp, OtherSite, Refused

Host: TypeAlias = IPv4Address | IPv6Address | str
"""An address, or a name in lower case without a dot at its end."""

_FIELD = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~-]{1,254})(?::([0-9]{0,5}))?")
_ORIGIN = re.compile(r"https?://(.*)")
_LOCAL = "localhost"


def read(text: str) -> Host:
    """Return the host that *text* is, an IPv6 address with brackets or without; raise ValueError for anything else."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in bare:
        six = IPv6Address(bare)
        if six.scope_id:
            raise ValueError("an address with a zone")
        return six.ipv4_mapped or six
    name = bare.lower().removesuffix(".")
    if bare != text or not name or not re.fullmatch(r"[a-z0-9._~-]{1,253}", name):
        raise ValueError("expected a host name or an address")
    try:
        return IPv4Address(name)
    except ValueError:
        return name


def of_field(field: str) -> Host:
    """Return the host of a `Host` header, whose port says nothing here; raise ValueError where it is none."""
    parts = _FIELD.fullmatch(field.strip(" \t"))
    if parts is None or int(parts[2] or 0) > 65_535:
        raise ValueError("expected host or host:port")
    return read(parts[1])


@dataclass(frozen=True, slots=True)
class Hosts:
    """What a server is reached by beside this machine's own names; *listed* as `hosts` of the settings has it."""

    listed: frozenset[Host] = frozenset()
    by_key: bool = False
    """Requests are let in by their key, which a page of another site has not: by any name, then."""

    @classmethod
    def of(cls, names: Iterable[str], *, by_key: bool = False) -> Hosts:
        """Return those of the setting; raise ValueError for what is no host."""
        return cls(frozenset(map(read, names)), by_key)

    def judge(self, fields: Sequence[str], local: str = "") -> Refused | None:
        """Return why a request with these `Host` headers is not served, None if it is.

        *local*: the address at which its connection arrived, which may be asked for too.
        """
        if len(fields) != 1 or not fields[0].strip(" \t"):
            return NotHttp("a request has exactly one Host header, which names a host")
        try:
            host = of_field(fields[0])
        except ValueError:
            return NotHttp("Host: expected host or host:port")
        if self.by_key or host == _LOCAL or host in self.listed:
            return None
        if not isinstance(host, str) and (host.is_loopback or host == _address(local)):
            return None
        return Misdirected(
            f"Host: {host} is not known as a name of this runwell; if it is one, add the line "
            f'hosts = ["{host}"] at the top of runwell.toml'
        )

    def judge_origin(self, origins: Sequence[str], field: str) -> Refused | None:
        """Return why a page of these `Origin` headers may not use what a request with *field* as its `Host` asks for.

        Its own pages may, at the very port, and those of listed hosts, behind whose proxy `Host` may be another.
        """
        if not origins:  # no browser, or nothing that another site's page could read or change
            return None
        of_page = _ORIGIN.fullmatch(origins[0].strip())
        if len(origins) == 1 and of_page is not None:
            if of_page[1].lower() == field.strip().lower():
                return None
            try:
                host = of_field(of_page[1])
            except ValueError:
                host = ""
            if host in self.listed:
                return None
        return OtherSite(
            "Origin: a page of another site, which may not use the dashboard; if people reach the dashboard by its "
            "host, list that in hosts at the top of runwell.toml"
        )


def _address(text: str) -> Host | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
