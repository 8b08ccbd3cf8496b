"""URLs as they are told."""

from __future__ import annotations

import pytest

from collector.client import ApiError, Client
from collector.model.address import without_credentials

URLS = [
    "http://user:sEcret@127.0.0.1:9/x",
    "http://sEcret@127.0.0.1:9",
    "http://127.0.0.1:9/?token=sEcret",
    "http://127.0.0.1:9#sEcret",
    "http://user:sEcret?@127.0.0.1:9",
    "http://user:sEcret/x@127.0.0.1:9",
    "user:sEcret@127.0.0.1:9",
    "ftp://user:sEcret@127.0.0.1",
    "http://user:sEcret@[::1",
    "http://user:sEcret@127.0.0.1:99999",
]


@pytest.mark.parametrize("url", URLS)
def test_credentials_stand_in_no_message(url: str) -> None:
    """Whatever is wrong with a URL, what is said of it has no user, password, query or fragment."""
    assert "sEcret" not in without_credentials(url)
    with pytest.raises(ApiError) as told:
        Client(url, timeout_s=1).status()
    assert "sEcret" not in str(told.value)


def test_a_url_without_credentials_is_told_whole() -> None:
    """Nothing is left out of an ordinary one."""
    for url in ("http://127.0.0.1:4319", "https://[::1]:1/runwell", "nonsense", ""):
        assert without_credentials(url) == url
