"""How verbs are let in: a key from the environment, headers, an authority; and what is said where they are not."""

from __future__ import annotations

import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from collector.cli import dashboard
from collector.cli.root import run
from collector.client import Access, ApiError, key_header
from collector.control import FILE, Control, keys
from collector.control.keys import Scope
from collector.doctor import ports
from collector.doctor import store as examined
from collector.settings import Settings
from tests.otlp.receiver import running

SQL = ("sql", "select 1 as one", "--format", "json")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[Scope, str]]]:
    """A store process that needs keys, and a key of each scope."""
    data = tmp_path_factory.mktemp("access") / "data"
    data.mkdir()
    with closing(Control.open(data)) as control:
        texts = {s: control.writing(keys.add, s, "me", time.time_ns()) for s in keys.GRANTS}
    with running("store", Settings(data=data, api_port=0, keys="required")) as (_, where):
        yield f"http://127.0.0.1:{where['api']['port']}", texts


def test_the_key_of_the_environment_lets_in_and_what_is_wrong_is_told_apart(
    store: tuple[str, dict[Scope, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Literal or in a file; without one 401, with one of another scope 403, and a header that is stated comes first."""
    url, texts = store
    file = tmp_path / "key"
    file.write_text(texts["read"] + "\n")
    nothing = tmp_path / "none"
    for key, more, code, said in [
        ("", (), 2, "(401): no key"),
        (texts["ingest"], (), 2, "(403): the key rw_i_"),
        (texts["read"], (), 0, '[{"one":1}]'),
        (f"${{file:{file}}}", (), 0, '[{"one":1}]'),
        (f"${{file:{nothing}}}", (), 2, "cannot be read"),
        ("", ("--header", f"x-api-key={texts['admin']}", "--header", "x-other=1"), 0, '[{"one":1}]'),
        (texts["read"], ("--header", "authorization=rw_r_none"), 2, "(401): the key is not one"),
        ("", ("--header", "nothing"), 2, "expected NAME=VALUE"),
        ("", ("--ca", str(nothing)), 2, "no such file"),
        ("", ("--ca", str(file)), 2, "holds no certificate"),
    ]:
        monkeypatch.setenv("RUNWELL_KEY", key)
        assert run([*SQL, "--url", url, *more]) == code, said
        told = "".join(capsys.readouterr())
        assert said in told.replace(" ", "") if code == 0 else said in told
        assert not any(text in told for text in texts.values())
    assert run([*SQL, "--url", "http://127.0.0.1:9"]) == 2
    assert "no runwell answers" in capsys.readouterr().err


def test_doctor_knows_who_asks_for_a_key(store: tuple[str, dict[Scope, str]]) -> None:
    """A port that shows nothing without a key is known as a runwell's, and no key is sent to learn that."""
    listener = ports.look("127.0.0.1", int(store[0].rpartition(":")[2]), "store")
    assert (listener.listening, listener.runwell, listener.silent) == (True, "store", False)


def test_doctor_calls_a_store_that_asks_for_a_key_no_problem(
    store: tuple[str, dict[Scope, str]], tmp_path: Path
) -> None:
    """Without a key it notes that the rest is for who has one, with one it is told."""
    url, texts = store
    for key, states in (("", ["ok", "note"]), (texts["read"], ["ok"])):
        access = Access(tuple(key_header(key).items()))
        checks, _ = examined.store({"api": url, "http": url, "grpc": url}, Settings(data=tmp_path), [], 0, access)
        assert sorted({c.state for c in checks}, reverse=True) == states


@contextmanager
def over_tls(folder: Path) -> Iterator[tuple[str, Path, list[str | None]]]:
    """Yield the address of a server that answers nothing useful, its certificate, and the headers `x-a` it saw."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ),
            *("-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    seen: list[str | None] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.headers["x-a"])
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}", certificate, seen
        finally:
            server.shutdown()
            thread.join()


def test_a_certificate_that_is_not_trusted_is_told_and_its_authority_can_be_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not said that nothing answers; with --ca the request comes through, its headers with it."""
    recording = tmp_path / "logs.jsonl"
    recording.write_text('{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}\n')
    with over_tls(tmp_path) as (url, certificate, seen):
        for verb, answered in [
            ((*SQL, "--url", url), 2),
            (("replay", str(recording), "--endpoint", url), 1),
        ]:
            assert run(list(verb)) == 2
            assert "not trusted" in capsys.readouterr().err
            assert run([*verb, "--ca", str(certificate), "--header", "x-a=b"]) == answered
            assert "404" in "".join(capsys.readouterr())
    assert seen == ["b", "b"]


def test_the_dashboard_of_up_reads_with_a_key_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made at each start in place of the last one; not where the environment has one, nor where none is needed."""
    monkeypatch.delenv("RUNWELL_KEY", raising=False)
    assert dashboard._own(Settings(data=tmp_path)) == Access()
    needed = Settings(data=tmp_path, keys="required")
    first, second = dashboard._own(needed), dashboard._own(needed)
    (key,) = keys.read(tmp_path / FILE)
    assert (key.scope, key.fits(second.headers[0][1].removeprefix("Bearer "))) == ("read", True)
    assert first != second == Access.of_text(second.said())
    monkeypatch.setenv("RUNWELL_KEY", "rw_r_given")
    assert dashboard._own(needed).headers == (("authorization", "Bearer rw_r_given"),)


@pytest.mark.parametrize("text", ["a\nb", "schlüssel"])
def test_what_no_header_may_hold_is_no_key(text: str) -> None:
    """It is refused before anything is sent, and not repeated."""
    with pytest.raises(ApiError, match="is no key") as told:
        key_header(text)
    assert text not in told.value.message
