"""Which `Host` and `Origin` are this server's own: names as they are listed, addresses as they are the machine's."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model.errors import Misdirected, NotHttp, OtherSite
from collector.model.hosts import Hosts, of_field, read

LABEL = st.from_regex(r"[a-z0-9_]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(LABEL, min_size=1, max_size=4).map(".".join).filter(lambda n: not n.replace(".", "").isdigit())
PORTS = st.one_of(st.just(""), st.integers(0, 65_535).map(":{}".format), st.just(":"))
CASES = st.sampled_from([str.lower, str.upper, str.title])
LISTED = Hosts.of(["runwell.example.com", "10.9.8.7", "[2001:db8::7]", "2001:db8::8"])
OWN = st.one_of(
    st.sampled_from(["localhost", "localhost.", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]"]),
    st.integers(2**24 * 127, 2**24 * 128 - 1).map(lambda n: str(IPv4Address(n))),
)
OF_LIST = st.sampled_from(
    ["runwell.example.com", "runwell.example.com.", "10.9.8.7", "[2001:db8::7]", "[2001:DB8:0::8]"]
)
OTHERS = st.one_of(
    st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).filter(lambda a: a.ipv4_mapped is None).map("[{}]".format)
)


@given(st.one_of(OWN, OF_LIST), PORTS, CASES)
def test_the_machine_itself_and_what_is_listed_may_be_asked_for_at_any_port(host: str, port: str, case: type) -> None:
    """Loopback names and addresses and those of `hosts`, however they are spelled, are served."""
    assert LISTED.judge([f"{case(host)}{port}"]) is None


@given(NAMES, PORTS, st.sampled_from(["{}", "localhost.{}", "{}.localhost", "127.0.0.1.{}", "runwell.example.com.{}"]))
def test_every_other_name_is_refused_with_the_line_to_add(name: str, port: str, form: str) -> None:
    """A name that is not listed is 421 whatever it resembles, and listing what the sentence says lets it in."""
    asked = form.format(name)
    refused = Hosts().judge([asked + port])
    if asked == "localhost":
        assert refused is None
        return
    assert isinstance(refused, Misdirected)
    assert f'hosts = ["{asked}"]' in refused.message
    assert Hosts.of([asked]).judge([asked.upper() + port]) is None


@given(OTHERS, PORTS)
def test_an_address_is_served_where_the_connection_arrived_at_it(address: str, port: str) -> None:
    """A page has its own name in Host and never an address; one that is not this machine's is refused all the same."""
    local = address.strip("[]")
    assert Hosts().judge([address + port], local) is None
    assert Hosts().judge([address + port], f"::ffff:{local}" if ":" not in local else f"{local}%eth0") is None
    other = read(address)
    assert not isinstance(other, str)
    refused = Hosts().judge([address + port], "127.0.0.1")
    assert (refused is None) == other.is_loopback


@pytest.mark.parametrize(
    "fields",
    [
        *([], [""], [" "], ["localhost", "localhost"], ["."], [".."], [":80"], ["a b"], ["localhost,evil.example"]),
        *(
            ["x@localhost"],
            ["localhost:65536"],
            ["localhost:-1"],
            ["localhost:8o"],
            ["localhost:1:2"],
            ["::1"],
            ["[::1"],
        ),
        *(
            ["[localhost]"],
            ["[::1%lo]"],
            ["http://localhost"],
            ["localhost/"],
            ["loc\xe4lhost"],
            ["a" * 300],
            ["[127.0.0.1]"],
        ),
    ],
)
def test_what_is_no_host_is_no_request(fields: list[str]) -> None:
    """None, an empty one, two, and what is no host are 400."""
    refused = Hosts().judge(fields)
    if fields == [".."]:
        assert isinstance(refused, Misdirected)
    else:
        assert isinstance(refused, NotHttp)


@given(st.text(max_size=60))
def test_whatever_is_sent_is_judged(text: str) -> None:
    """No text is an error of ours, and none is let in but this machine's names."""
    refused = Hosts().judge([text])
    if refused is None:
        host = of_field(text)
        assert host == "localhost" or (isinstance(host, (IPv4Address, IPv6Address)) and host.is_loopback)
    Hosts().judge_origin([text], text)


@given(st.one_of(OWN, OF_LIST), PORTS, NAMES, st.sampled_from(["http", "https"]))
def test_pages_of_the_dashboard_itself_may_use_it_and_no_others(host: str, port: str, name: str, scheme: str) -> None:
    """An Origin is that very host and port, or a listed host; others, opaque ones and two are refused."""
    field = host + port
    assert LISTED.judge_origin([], field) is None
    assert LISTED.judge_origin([f"{scheme}://{field}"], field) is None
    assert LISTED.judge_origin(["https://runwell.example.com"], "127.0.0.1:8501") is None
    own = f"{scheme}://{field}"
    for origins in ([f"{scheme}://{name}{port}"], [own, own], ["null"], [f"file://{field}"], [""], [f"{own}x"]):
        refused = LISTED.judge_origin(origins, field)
        assert isinstance(refused, OtherSite) or origins[0].partition("//")[2] == field


@given(NAMES, PORTS)
def test_where_a_key_judges_any_name_may_be_asked_for(name: str, port: str) -> None:
    """Behind a key every host is served, and what is no host, none or two are refused all the same."""
    by_key = Hosts.of([], by_key=True)
    assert by_key.judge([name + port]) is None
    for fields in ([], [""], [name, name], ["a b"]):
        assert isinstance(by_key.judge(fields), NotHttp)
