"""README and the pages in docs say what is true: their links lead somewhere, and what they name exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List, Set

import pytest

from config import SETTINGS
from config.showing import default_of
from proxy.archive.filters import NAMES, OUTCOMES
from proxy.metrics.names import COUNTERS, GAUGES, HISTOGRAMS
from proxy.upstream.demo.models import TABLE

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [*(ROOT / name for name in ("README.md", "BENCHMARKS.md", "SECURITY.md")), *sorted(DOCS.glob("*.md"))]
WRITTEN = [page for page in PAGES if page.name not in ("BENCHMARKS.md", "FAULTS.md")]  # by hand
EACH = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
# Flags of our commands that are no settings, and flags of others
OTHERS = {"version", "json", "markdown", "new", "model", "yes", "outcome", "since", "format", "bind", "threads", "app"}
OTHERS |= {"require_hashes"}
LINK = re.compile(r"\]\(([^)\s]+)\)")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> Set[str]:
    """The names that GitHub gives to headings."""
    heads = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def code(page: Path) -> List[str]:
    """What stands between backticks, or indented."""
    return re.findall(r"`([^`\n]+)`", text_of(page)) + re.findall(r"^    (.+)$", text_of(page), re.MULTILINE)


def cells(page: Path, heading: str) -> List[str]:
    """The code in the first column of the first table below a heading."""
    below = text_of(page).partition(f"# {heading}\n")[2]
    rows = below[below.index("\n| --- |" if "\n| --- |" in below else "\n|---|") :].split("\n\n")[0].splitlines()[2:]
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


@EACH
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in (one for one in LINK.findall(text_of(page)) if "://" not in one):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_there_are_links_and_pages_to_look_at() -> None:
    assert len(PAGES) >= 9 and len(LINK.findall(text_of(ROOT / "README.md"))) > 20


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_every_flag_variable_and_target_it_names_exists(page: Path) -> None:
    said = "\n".join(code(page))
    flags = {name.replace("-", "_") for name in re.findall(r"(?<![\w-])--([A-Za-z][\w-]*)", said)}
    aliases = {alias.strip("-").replace("-", "_") for one in SETTINGS.values() for alias in one.aliases}
    assert flags - set(SETTINGS) - aliases - OTHERS == set()
    assert set(re.findall(r"FORWARD_[A-Z_]+", said)) <= {one.environment for one in SETTINGS.values()}
    targets = set(re.findall(r"^([a-z][\w-]*):", text_of(ROOT / "Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z][\w-]*)", said, re.MULTILINE)) <= targets


def test_the_journals_fields_and_outcomes_are_those_that_are_written() -> None:
    told = set(cells(DOCS / "JOURNALS.md", "Fields"))
    source = text_of(ROOT / "proxy" / "journal" / "record.py")
    written = set(re.findall(r'^            "(\w+)": ', source, re.MULTILINE))
    assert len(written) > 15 and written <= told
    row = next(line for line in text_of(DOCS / "JOURNALS.md").splitlines() if line.startswith("| `outcome`"))
    assert set(re.findall(r"`(\w+)`", row)) - {"outcome"} == set(OUTCOMES)


def test_every_repair_has_its_name_on_the_page() -> None:
    sources = "".join(text_of(path) for path in (ROOT / "proxy" / "dialects").glob("*.py"))
    made = set(re.findall(r'mended\("([a-z_]+[a-z])"\)', sources)) | {"id", "object", "created", "model", "ping"}
    made |= set(re.findall(r'(?:repairs|_notes\.counts)\["(\w+)"\] = ', sources)) | {"not_json"}
    told = set(cells(DOCS / "JOURNALS.md", "Repairs"))
    assert len(made) > 25 and made <= told
    assert told - made == {"mode", "tool_call_function", "tool_call_custom"}  # made of two words, or selftest's alone


def test_the_filters_are_those_there_are() -> None:
    assert cells(DOCS / "JOURNALS.md", "From the terminal") == list(NAMES)


def test_every_metric_has_its_row() -> None:
    named = cells(DOCS / "METRICS.md", "Metrics and traces")
    told = {name.replace("..._", "forward_provider_connections_") for name in named}
    counted = {f"{name}_total" for name, _, _ in COUNTERS}
    assert told == counted | {name for name, _ in GAUGES} | {one.name for one in HISTOGRAMS} | {
        "forward_workers",
        "forward_build_info",
    }


def test_the_demo_models_it_names_exist() -> None:
    named = {word for page in WRITTEN for word in re.findall(r"[`\" ](demo-[a-z0-9-]+)", text_of(page))}
    assert len(named) > 4 and named <= {model.name for model in TABLE}


def test_the_limits_are_the_defaults() -> None:
    rows = text_of(DOCS / "HOSTING.md").partition("## Limits\n")[2].strip().splitlines()[2:]
    assert len(rows) == 12
    for _, default, settings, _ in (row.strip("| ").split(" | ") for row in rows):
        for name in re.findall(r"--(\w+)", settings):
            value = default_of(SETTINGS[name])
            shown = {"16384": "16 KiB", "0": "none"}.get(value, value.replace("MiB", " MiB"))
            assert shown in default.replace(",", ""), name
