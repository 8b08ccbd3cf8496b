"""What is written for people: links lead somewhere, no page is lost, names are those of the code."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
LINK = re.compile(r"\]\(([^)\s]+)\)")
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *DOCS.rglob("*.md"),
        *(ROOT / "sample_data").rglob("*.md"),
        *(ROOT / "tests" / "rules").glob("*.md"),
    ]
)


def prose(page: Path) -> str:
    """Return the text of a page without blocks and spans of code."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


@cache
def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    found: set[str] = set()
    for title in re.findall(r"^#+ (.+)$", text, re.M):
        base = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
        n = 0
        while (anchor := f"{base}-{n}" if n else base) in found:
            n += 1
        found.add(anchor)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    """A link to a file names one that is there, and what follows # is one of its headings."""
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_index_has_every_page_once() -> None:
    """docs/README.md links to each page of docs/, and to none twice."""
    linked = [link for link in LINK.findall((DOCS / "README.md").read_text("utf-8")) if not link.startswith("..")]
    pages = [str(page.relative_to(DOCS)) for page in PAGES if page.is_relative_to(DOCS)]
    assert sorted([*linked, "README.md"]) == sorted(pages)


def test_the_finding_that_the_readme_shows_is_what_check_says() -> None:
    """The excerpt of the README stands as it is in the example report, which is written from the code."""
    excerpts = re.findall(r"```text\n(.+?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    report = (DOCS / "rules" / "example-report.md").read_text("utf-8")
    assert len(excerpts) == 1
    assert excerpts[0] in report


def _defines(path: str, names: list[str]) -> bool:
    """Tell whether a file or room, named from the top or from the collector, is there and defines *names*."""
    places = [base / end for base in (ROOT / "collector" / path, ROOT / path) for end in ("", "__init__.py")]
    files = [file for place in places for file in (place, place.with_name(f"{place.name}.py")) if file.is_file()]
    if not names:
        return bool(files) or any(place.is_dir() for place in places)
    text = "".join(file.read_text("utf-8") for file in files)
    return all(re.search(rf"^\s*(?:async )?(?:def|class) {n}\b|^\s*{n}\b[^=\n]*=", text, re.M) for n in names)


def test_names_of_the_architecture_are_names_of_the_code() -> None:
    """Each `room/file` is there, and each `room/file.name` is defined in it."""
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)+(?:\.\w+)*)`", ARCHITECTURE.read_text("utf-8")))
    assert len(named) > 60
    for whole in named:
        path, *names = whole.split(".")
        assert (ROOT / whole).exists() or (ROOT / "collector" / whole).exists() or _defines(path, names), whole


def test_the_map_has_every_room_from_the_bottom_up() -> None:
    """Each folder and module of the collector has a row of the map and a layer, in the same order."""
    text = ARCHITECTURE.read_text("utf-8")
    rows = re.findall(r"^\| `([a-z]+)` \|", text[: text.index("## One record's way")], re.M)
    layers = re.search(r"```\n(cli >.+?)```", text, re.S)
    assert layers is not None
    rank = {room: -n for n, layer in enumerate(layers[1].split(">")) for room in re.findall(r"[a-z]+", layer)}
    assert [rank[room] for room in rows] == sorted(rank.values())
    assert set(rows) == {p.stem for p in (ROOT / "collector").iterdir() if re.fullmatch(r"[a-z]+(\.py)?", p.name)}
