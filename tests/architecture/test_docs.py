"""Pages and pictures are true: links, figures, and what the model draws."""

import re

import pytest
import yaml

from testkit.servers import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_figure_of_a_card_that_nobody_measured(page: str) -> None:
    """No datacenter card has run the service yet; a row that names one has to bring its date."""
    for line in page.read_text().splitlines():
        if re.search(r"\b(H100|H200|A100)\b", line):
            assert re.search(r"20\d\d-\d\d-\d\d", line), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: str) -> None:
    """To a file that exists, and to a heading in it."""
    for target, anchor in re.findall(
        r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text()
    ):
        file = (page.parent / target) if target else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            assert anchor in {_anchor(heading) for heading in headings}, f"{target}#{anchor}"


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
