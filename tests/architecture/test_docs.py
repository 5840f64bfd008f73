"""Pages and pictures are true: links, names of files and commands, figures, words."""

import re
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import pytest
import yaml

from core.settings import Settings
from testkit.servers import ROOT

FOLDERS = sorted(
    path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "out"))
)
PAGES = sorted(
    [ROOT / "README.md", ROOT / "SECURITY.md"]
    + [page for folder in FOLDERS for page in folder.rglob("*.md")]
)
OWN_PAGES = [page for page in PAGES if page.parent == ROOT or page.is_relative_to(ROOT / "docs")]
# What a superseded decision and the changelog name may be gone.
CURRENT = [page for page in PAGES if page.parent.name != "superseded"]
CLIENT_CALLS = ROOT / "clients/python/src/tooncrafter_client/calls.py"  # reads variables of its own
SUFFIXES = "py|lua|md|toml|txt|in|ya?ml|json|conf|svg|png|sh"


def _title(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _spans(page: Path) -> list[str]:
    """Inline code of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


def _commands(page: Path) -> list[str]:
    """Inline code, and each line of a code block."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return _spans(page) + list(chain.from_iterable(block.splitlines() for block in blocks))


def test_overview_shows_that_the_model_draws_every_frame() -> None:
    """The first and the last frame follow the keyframes, but are not the caller's drawings."""
    picture = (ROOT / "docs" / "images" / "overview.svg").read_text()
    strip = picture[picture.index(">16 frames<") :]
    assert strip.count("stroke-dasharray") == 16
    assert "#a" not in strip
    assert "draws all sixteen" in strip


def test_contract_does_not_count_keyframes_as_frames() -> None:
    schemas = yaml.safe_load((ROOT / "openapi.yaml").read_text())["components"]["schemas"]
    described = [
        properties["frames"]["description"]
        for schema in schemas.values()
        if "frames" in (properties := schema.get("properties", {}))
        and "description" in properties["frames"]
    ]
    assert described
    assert not [text for text in described if "included" in text]


@pytest.mark.parametrize("page", OWN_PAGES, ids=_title)
def test_no_figure_of_a_card_that_nobody_measured(page: Path) -> None:
    """No datacenter card has run the service yet; a row that names one has to bring its date."""
    for line in page.read_text().splitlines():
        if re.search(r"\b(H100|H200|A100)\b", line):
            assert re.search(r"20\d\d-\d\d-\d\d", line), line


@pytest.mark.parametrize("page", PAGES, ids=_title)
def test_links_lead_somewhere(page: Path) -> None:
    """To a file that exists, and to a heading in it."""
    for target, anchor in re.findall(
        r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text()
    ):
        file = (page.parent / target) if target else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            assert anchor in {_anchor(heading) for heading in headings}, f"{target}#{anchor}"


@pytest.mark.parametrize("page", CURRENT, ids=_title)
def test_files_that_are_named_exist(page: Path) -> None:
    """Paths from the root, paths of tests below `tests/`, and names of files without a path."""
    known = {file.name for folder in FOLDERS for file in folder.rglob("*.*")}
    known |= {file.name for file in ROOT.iterdir()}
    tops = {folder.name for folder in FOLDERS}
    for span in _spans(page):
        name = span.split("::")[0].rstrip("/")
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", name):
            continue
        if "/" in name and name.split("/")[0] in tops:
            assert any((root / name).exists() for root in (ROOT, ROOT / "tests")), span
        elif "/" not in name and re.fullmatch(rf"[\w-]+\.({SUFFIXES})", name):
            assert name in known, span


@pytest.mark.parametrize("page", CURRENT, ids=_title)
def test_modules_that_are_run_exist(page: Path) -> None:
    for command in _commands(page):
        for name in re.findall(r"python3? -m ([\w.]+)", command):
            path = ROOT / name.replace(".", "/")
            if (ROOT / name.split(".")[0]).is_dir():
                assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), command
            else:
                assert find_spec(name), command


@pytest.mark.parametrize("page", CURRENT, ids=_title)
def test_dotted_names_are_modules(page: Path) -> None:
    """As `benchmarks.fleet` or `core.records.base.SCHEMA_VERSION`."""
    tops = "|".join(folder.name for folder in FOLDERS if (folder / "__init__.py").exists())
    for span in _spans(page):
        name = re.fullmatch(rf"(?:{tops}|benchmarks|scripts)\.([a-z_]+)(\.\w+)*", span)
        if name and name[1] not in {*SUFFIXES.split("|"), "ckpt"}:
            path = ROOT / span.split(".")[0] / name[1]
            assert path.is_dir() or path.with_suffix(".py").exists(), span


@pytest.mark.parametrize("page", CURRENT, ids=_title)
def test_settings_exist(page: Path) -> None:
    known = {name.upper() for name in Settings.model_fields}
    known |= set(re.findall(r"TOONCRAFTER_(\w+)", (ROOT / "docker-compose.yml").read_text()))
    known |= set(re.findall(r"TOONCRAFTER_(\w+)", CLIENT_CALLS.read_text()))
    for name in re.findall(r"\bTOONCRAFTER_([A-Z0-9_]+)", page.read_text()):
        assert name in known, name


@pytest.mark.parametrize("page", CURRENT, ids=_title)
def test_make_targets_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for command in _commands(page):
        for name in re.findall(r"^make ([a-z][a-z-]*)", command):
            assert name in targets, command


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
