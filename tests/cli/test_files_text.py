"""Recorded files of text: forms, prefixes, cuts and damage, each a family."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from collector.cli import recordings
from collector.cli.recordings import documents
from tests.cli.files import read, request, resource, texts

brief = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
    | st.sampled_from(['{"resourceLogs":[', "]}\\", "😀", "F"]),
    min_size=1,
    max_size=5,
)
BOM = b"\xef\xbb\xbf"
BETWEEN = (b"\n", b"\r\n", b"", b"\n\n \t\n", b"\x1e", b",", b"\n" + BOM)
CRI = "2026-11-25T13:06:40.123456789Z {} {} "


def dump(tree: object, indent: int | None = None, ascii: bool = True) -> bytes:
    """Return *tree* as JSON in UTF-8."""
    return json.dumps(tree, indent=indent, ensure_ascii=ascii).encode()


def docker(log: str) -> bytes:
    """Return an entry of Docker's json-file."""
    return dump({"log": log, "stream": "stdout", "time": "2026-11-25T13:06:40Z"}) + b"\n"


@brief
@given(TEXTS, st.data())
def test_documents_are_read_however_they_are_written_behind_each_other(
    tmp_path: Path, said: list[str], data: st.DataObject
) -> None:
    """Lines, nothing between, arrays, white space, byte order marks, requests or their resources: all are the same."""
    content = data.draw(st.sampled_from((b"", BOM, b"\n", b" \r\n")))
    for text in said:
        tree = data.draw(st.sampled_from((request, resource)))(text)
        content += dump(tree, data.draw(st.sampled_from((None, 0, 2))), data.draw(st.booleans()))
        content += data.draw(st.sampled_from(BETWEEN))
    if data.draw(st.booleans()):
        content = b"[" + content.removesuffix(BETWEEN[-1]) + b"\n]"
    found, told = read(tmp_path / "a.json", content)
    assert (texts(found), told) == (said, [])


@brief
@given(TEXTS, st.sampled_from(("utf-16", "utf-16-le", "utf-16-be", "utf-32")), st.sampled_from((None, 2)))
def test_other_encodings_of_unicode_are_read_and_said(
    tmp_path: Path, said: list[str], encoding: str, indent: int | None
) -> None:
    """A file as PowerShell writes it is read, with a note that names its encoding."""
    content = "\r\n".join(json.dumps(request(text), indent=indent) for text in said).encode(encoding)
    found, told = read(tmp_path / "a.jsonl", content)
    assert texts(found) == said
    assert [(t.kind, encoding[:6].upper() in t.why) for t in told] == [("note", True)]


@brief
@given(
    st.sampled_from(("utf-16", "utf-16-le", "utf-16-be")),
    st.lists(st.tuples(TEXTS, st.booleans()), min_size=2, max_size=5),
    st.sampled_from((None, 2)),
    st.sampled_from((b"", b"\r\n")),
    st.integers(3, 64),
)
def test_what_is_written_behind_a_file_in_another_encoding_is_read_and_said_once(
    tmp_path: Path, wide: str, parts: list[tuple[list[str], bool]], indent: int | None, last: bytes, piece: int
) -> None:
    """PowerShell's `>>` writes UTF-16 behind UTF-8, other programs write UTF-8 behind that: all of it is read."""
    content = b"".join(
        b"".join(
            (dump(request(text), indent, ascii=False).decode() + "\r\n").encode(wide if is_wide else "utf-8")
            for text in said
        )
        for said, is_wide in parts
    )
    content = content + (b"" if parts[-1][1] else last)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recordings, "PIECE", piece)
        found, told = read(tmp_path / "a.jsonl", content)
    assert texts(found) == [text for said, _ in parts for text in said]
    assert len(told) <= 2 and all(t.kind == "note" and "UTF-16" in t.why for t in told)
    assert bool(told) == any(is_wide for _, is_wide in parts)


PREFIXES = (
    CRI.format("stdout", "F"),
    CRI.format("stderr", "F:x"),
    "pod-1  | ",
    "\x1b[36mweb-1  |\x1b[0m ",
    "[pod/web-5f/app] ",
    "web-5f app ",
    "INFO: ",
    "Nov 25, 2026 1:06:40\u202fPM io.opentelemetry.exporter.logging.otlp.OtlpJsonLogging export\nINFO: ",
    "2026-11-25 13:06:40,123 [main] INFO  o.e.Exporter - ",
    "<6>Nov 25 13:06:40 host app[12]: ",
)


@brief
@given(TEXTS, st.data())
def test_what_runtimes_and_loggers_put_before_a_line_is_taken_off(
    tmp_path: Path, said: list[str], data: st.DataObject
) -> None:
    """Each line may have another prefix, or none."""
    prefixes = st.sampled_from((*PREFIXES, ""))
    content = b"".join(data.draw(prefixes).encode() + dump(request(text)) + b"\n" for text in said)
    assert [(texts(found), told) for found, told in [read(tmp_path / "pod.log", content)]] == [(said, [])]


@brief
@given(TEXTS, st.integers(1, 300), st.sampled_from(("cri", "docker")))
def test_lines_that_a_runtime_cut_in_parts_are_joined(tmp_path: Path, said: list[str], size: int, by: str) -> None:
    """Parts of a line are put together by their stream, other streams between them."""
    content = b""
    for text in said:
        line = dump(request(text)).decode()
        parts = [line[at : at + size] for at in range(0, len(line), size)]
        for part in parts[:-1]:
            noise = f"{CRI.format('stderr', 'F')}{json.dumps(resource('noise'))}\n"
            content += docker(part) if by == "docker" else f"{CRI.format('stdout', 'P')}{part}\n{noise}".encode()
        content += docker(parts[-1] + "\n") if by == "docker" else f"{CRI.format('stdout', 'F')}{parts[-1]}\n".encode()
    found, told = read(tmp_path / "pod.log", content)
    assert ([t for t in texts(found) if t != "noise"], told) == (said, [])


@brief
@given(TEXTS, st.data(), st.sampled_from((None, 2)), st.booleans())
def test_a_file_that_is_cut_anywhere_gives_what_is_whole(
    tmp_path: Path, said: list[str], data: st.DataObject, indent: int | None, again: bool
) -> None:
    """Documents before the cut are read, and those that were written behind it; what was cut is named with its line."""
    assume("noise" not in said)
    whole = [dump(request(text), indent) + b"\n" for text in said]
    last = data.draw(st.integers(1, len(whole[-1]) - 2))
    content = b"".join(whole[:-1]) + whole[-1][:last]
    behind = [dump(request("behind"), indent)] if again else []
    found, told = read(tmp_path / "a.jsonl", content + b"".join(behind))
    if last == 1 and again:
        assert not told or texts(found)
    assert texts(found) == said[:-1] + ["behind"] * again
    lines = content.count(b"\n") + 1
    first = b"".join(whole[:-1]).count(b"\n") + 1
    assert told and all(first <= int(t.where.split(":")[-1].split("-")[0]) <= lines for t in told)


@brief
@given(TEXTS, st.data(), st.sampled_from((b"\n", b",\n", b"")))
def test_a_broken_document_is_named_and_the_others_are_read(
    tmp_path: Path, said: list[str], data: st.DataObject, between: bytes
) -> None:
    """Neither a document that is not JSON, nor one of nothing we know, nor other text keeps others from being read."""
    broken = (
        b'{"resourceLogs":[{]}',
        b'{"resourceLogs":[{"a":nul}]}',
        b'{"resourceLogs":"x',
        b'{"a":1}',
        b"starting up",
        b"{}",
    )
    at = data.draw(st.integers(0, len(said)))
    parts = [dump(request(text)) for text in said]
    # Text on the line of a document is its prefix.
    parts.insert(at, data.draw(st.sampled_from(broken if between == b"\n" else broken[:4])))
    found, told = read(tmp_path / "a.jsonl", between.join(parts))
    assert texts(found) == said
    assert [t.where.rsplit(":", 1)[1] for t in told] == [str(1 + at * between.count(b"\n"))]


@brief
@given(TEXTS, st.lists(st.integers(0, 9000), min_size=1, max_size=6))
def test_zero_bytes_are_named_and_passed_over(tmp_path: Path, said: list[str], holes: list[int]) -> None:
    """Zero bytes between lines, at the end or alone on a line are told once for each place, with their number."""
    content = b"".join(
        dump(request(said[at])) + bytes(hole) + b"\n" for at, hole in zip(range(len(said)), holes * 5, strict=False)
    )
    found, told = read(tmp_path / "a.jsonl", content)
    assert texts(found) == said
    assert sum(int(t.why.split()[0]) for t in told) == sum((holes * 5)[: len(said)])


@pytest.mark.parametrize("before", ["", '{"resourceLogs":[\n'])
def test_a_document_beyond_the_limit_is_named_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """A document larger than the limit is left out, with line and limit, and what follows is read."""
    monkeypatch.setattr(documents, "MOST", 2**20)
    huge = before.encode() + dump(request("x" * 3 * 2**20))
    found, told = read(tmp_path / "a.jsonl", dump(request("a")) + b"\n" + huge + b"\n" + dump(request("b")))
    assert texts(found) == ["a", "b"]
    assert "a.jsonl:2" in told[0].where
    assert any("1048576" in t.why for t in told)


def test_profiles_and_what_is_around_them(tmp_path: Path) -> None:
    """Profiles are named as not kept; a request of several signals goes to each path; a lone surrogate is sent on."""
    several = {"resourceLogs": [], "resourceSpans": []}
    lone = rb'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"\ud83d"}}]}]}]}'
    content = b"\n".join((dump({"resourceProfiles": []}), dump(several), lone, dump({"scopeProfiles": []})))
    found, told = read(tmp_path / "a.jsonl", content)
    assert [r.signal.name for r in found] == ["logs", "traces", "logs"]
    assert found[-1].body == lone
    assert [(t.where[-1], t.kind) for t in told] == [("1", "not kept"), ("4", "not kept")]
