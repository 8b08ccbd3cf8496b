"""The client beside a server that hangs up as soon as it is asked a second time on a connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from collector.client import ApiError, Client

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Hasty:
    """Answers the first request of each connection, hangs up on the second, and counts requests by path."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        try:
            while True:
                threading.Thread(target=self._serve, args=(self._listening.accept()[0],), daemon=True).start()
        except OSError:  # closed
            return

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            for answer in (ANSWER, b""):
                if not (head := connection.recv(65_536)):
                    return
                self.asked.append(head.split(b" ", 2)[1].decode())
                connection.sendall(answer)

    def close(self) -> None:
        """Stop."""
        self._listening.close()


@pytest.fixture
def server() -> Iterator[Hasty]:
    """Run the server."""
    made = Hasty()
    yield made
    made.close()


def test_a_question_is_asked_again_on_a_new_connection_and_a_command_is_not(server: Hasty) -> None:
    """What changes nothing when asked twice is answered; a report that may have been made is not made again."""
    client = Client(server.url)
    for _ in range(4):
        assert client.status() == {}
    client.close()
    client = Client(server.url)
    client.status()
    server.asked.clear()
    with pytest.raises(ApiError):
        client.make_report()
    assert server.asked == ["/api/v1/reports"]
    client.close()


@pytest.mark.parametrize(
    "url", ["foo", "", "ftp://h", "http://", "http://x:99999", "http://x:0", "http://x:y", "http://[::", "http://a..b"]
)
def test_what_is_no_url_is_told_before_anything_is_asked(url: str) -> None:
    """Nobody is told to start a collector that could not be found there."""
    with pytest.raises(ApiError, match="expected a URL such as"):
        Client(url)


def test_what_cannot_be_sent_is_named(server: Hasty) -> None:
    """Half a character in a filter, in a path or in a body is no fault of the URL."""
    client = Client(server.url)
    half = "a\udcffb"
    for named, ask in (
        ("task", lambda: client.stats("tasks", task=half)),
        ("task", lambda: client.check(task=["x", half])),
        ("run", lambda: client.run(half)),
        ("report", lambda: client.report_text(half, "md")),
        ("sql", lambda: client.sql(half)),
    ):
        with pytest.raises(ApiError, match=rf"^{named}: '.*a\\udcffb' is no valid text$"):
            ask()
    assert server.asked == []
    client.close()
