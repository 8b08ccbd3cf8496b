"""Where a webhook may go: nowhere but to the public internet over https, unless the settings name the place."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.report.notify import NotSent
from collector.report.notify.guard import Resolve, resolve, vet

PUBLIC = "93.184.215.14"
PUBLIC_6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"


def answers(*addresses: str) -> Resolve:
    """Return a resolver that knows these addresses for every host."""
    return lambda host, port: addresses


def refused(url: str, allowed: tuple[str, ...] = (), ask: Resolve = resolve) -> str:
    """Return why *url* is refused."""
    with pytest.raises(NotSent) as why:
        vet(url, allowed, ask)
    assert url not in why.value.reason
    return why.value.reason


# fmt: off
INTERNAL = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "169.254.1.1", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16", "192.88.99.1",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:93.184.215.14",
    "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::1",
    "2001:db8::1", "3fff::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "100::1",
]
# fmt: on


@pytest.mark.parametrize("address", INTERNAL)
def test_a_host_with_an_internal_address_is_refused(address: str) -> None:
    """Private, loopback, link-local, shared, unique local, mapped, tunnelled, multicast, reserved and metadata."""
    assert "not public" in refused("https://hooks.example.com/x", ask=answers(address))


@pytest.mark.parametrize("order", [(PUBLIC, "10.0.0.1"), ("10.0.0.1", PUBLIC), (PUBLIC, PUBLIC_6, "::1")])
def test_every_answer_counts(order: tuple[str, ...]) -> None:
    """A host that has an internal address among public ones is refused, whichever comes first."""
    assert "not public" in refused("https://hooks.example.com/x", ask=answers(*order))


@given(st.ip_addresses())
def test_what_passes_is_global_and_what_is_private_does_not(address: ipaddress.IPv4Address) -> None:
    """No address that Python's tables call private, link-local, multicast, reserved or unspecified passes."""
    try:
        target = vet("https://hooks.example.com/", (), answers(str(address)))
    except NotSent:
        return
    assert address.is_global
    assert not (address.is_private or address.is_link_local or address.is_multicast or address.is_unspecified)
    assert address.is_reserved is False
    assert target.addresses[0].strip("[]") == str(address)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "[::1]",
        "localhost",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "127.0.0.1.",
        "0",
        "①②⑦.⓪.⓪.①",
        "[fe80::1%25lo]",
        "ｌｏｃａｌｈｏｓｔ",  # noqa: RUF001
    ],
)
def test_no_spelling_of_loopback_passes(host: str) -> None:
    """Decimal, octal, hex, short, mapped, scoped and wide spellings, through the system's own resolver."""
    assert refused(f"https://{host}/x")


def test_names_are_compared_as_the_wire_has_them() -> None:
    """A name in another script is resolved, named in TLS and in the Host header by its ASCII form."""
    asked: list[str] = []

    def ask(host: str, port: int) -> list[str]:
        asked.append(host)
        return [PUBLIC]

    target = vet("https://BÜCHER.example/a b?c=d", (), ask)
    assert (asked, target.host, target.netloc) == (["xn--bcher-kva.example"], *["xn--bcher-kva.example"] * 2)
    assert (target.addresses, target.port, target.path) == ((PUBLIC,), 443, "/a%20b?c=d")


def test_a_name_is_resolved_once_and_the_answer_is_used() -> None:
    """Whatever a name resolves to afterwards, the address that was judged is the one connected to."""
    turns = iter([[PUBLIC_6, PUBLIC], ["127.0.0.1"]])
    target = vet("https://rebinding.example/", (), lambda host, port: next(turns))
    assert target.addresses == (f"[{PUBLIC_6}]", PUBLIC)
    assert next(turns) == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hooks.example.com/x", "only https"),
        ("https://hooks.example.com:8443/x", "only port 443"),
        ("https://hooks.example.com:80/x", "only port 443"),
        ("https://exa\u200bmple.com/x", "not valid"),
    ],
)
def test_what_is_not_https_on_its_port_is_refused(url: str, why: str) -> None:
    """The reason says what is allowed, and where to allow more."""
    assert why in refused(url, ask=answers(PUBLIC))


def test_a_name_that_does_not_resolve_is_told() -> None:
    """Neither the resolver's error nor an empty answer passes."""

    def fails(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    for ask in (fails, answers(), answers("not an address")):
        assert "does not resolve" in refused("https://hooks.example.com/x", ask=ask)


@pytest.mark.parametrize(
    ("url", "address", "allowed", "passes"),
    [
        ("http://hooks.internal:8080/x", "10.2.3.4", "hooks.internal", True),
        ("http://HOOKS.internal./x", "10.2.3.4", "Hooks.Internal", True),
        ("http://hooks.internal:8080/x", "10.2.3.4", "hooks.internal:8080", True),
        ("http://hooks.internal:8081/x", "10.2.3.4", "hooks.internal:8080", False),
        ("http://evil.internal:8080/x", "10.2.3.4", "hooks.internal", False),
        ("http://evil.hooks.internal/x", "10.2.3.4", "hooks.internal", False),
        ("http://any.name/x", "10.2.3.4", "10.2.0.0/16", True),
        ("http://any.name/x", "10.3.3.4", "10.2.0.0/16", False),
        ("http://any.name:8080/x", "127.0.0.1", "127.0.0.1:8080", True),
        ("http://any.name:8081/x", "127.0.0.1", "127.0.0.1:8080", False),
        ("http://any.name/x", "fd12::7", "fd12::/16", True),
        ("http://any.name/x", "fd12::7", "[fd12::7]:80", True),
        ("https://hooks.example.com:8443/x", PUBLIC, "hooks.example.com", True),
        ("http://hooks.internal/x", "169.254.169.254", "hooks.internal", False),
        ("http://hooks.internal/x", "::ffff:169.254.169.254", "hooks.internal", False),
        ("http://hooks.internal/x", "224.0.0.1", "hooks.internal", False),
        ("http://hooks.internal/x", "0.0.0.0", "hooks.internal", False),
        ("http://hooks.internal/x", "169.254.169.254", "169.254.169.254", True),
    ],
)
def test_the_settings_can_allow_internal_hosts(url: str, address: str, allowed: str, passes: bool) -> None:
    """By name, address or network, with a port or without; a name alone never opens link-local or metadata."""
    if passes:
        assert vet(url, (allowed,), answers(address)).addresses[0].strip("[]") == address
    else:
        assert refused(url, (allowed,), answers(address))


def test_an_allowed_host_opens_nothing_beside_it() -> None:
    """Of two answers, one allowed and one internal, the host is refused."""
    assert refused("https://any.name/x", ("10.2.0.0/16",), answers("10.2.3.4", "10.3.3.4"))
    assert vet("https://any.name/x", ("10.2.0.0/16",), answers("10.2.3.4", PUBLIC)).addresses == ("10.2.3.4", PUBLIC)
