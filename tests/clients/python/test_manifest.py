"""What a batch draws, from a table or from the names of files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tooncrafter_client import BadInput
from tooncrafter_client.cli.manifest import read_batch
from tooncrafter_client.cli.shot_options import ShotArguments

Write = Callable[..., Path]
DEFAULTS = ShotArguments(between=5, fps="24")


@pytest.fixture
def folder(tmp_path: Path) -> Write:
    """A folder with these files."""

    def make(*names: str, **texts: str) -> Path:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        for name, text in texts.items():
            (tmp_path / f"{name}.txt").write_text(text)
        return tmp_path

    return make


class TestFolder:
    def test_numbers_at_the_end_tell_keys_apart(self, folder: Write) -> None:
        """As in the published example folder: `NAME_frame1.png`, `NAME_frame3.png`."""
        source = folder("7_26_frame3.png", "7_26_frame1.png", "cat-2.png", "cat-10.png", "notes.md")
        first, second = read_batch(source, DEFAULTS)
        assert first.name == "7_26"
        assert [Path(key).name for key in first.keys] == ["7_26_frame1.png", "7_26_frame3.png"]
        assert second.name == "cat"
        assert [Path(key).name for key in second.keys] == ["cat-2.png", "cat-10.png"]

    def test_subfolders_are_shots(self, folder: Write) -> None:
        source = folder("s2/b.png", "s2/a.png", "s1/x1.png", "s1/x2.png", "s1/x3.png", "empty/x.md")
        assert [(item.name, len(item.keys)) for item in read_batch(source, DEFAULTS)] == [
            ("s1", 3),
            ("s2", 2),
        ]

    def test_prompts_are_lines(self, folder: Write) -> None:
        source = folder("b_1.png", "b_2.png", "a_1.png", "a_2.png", prompts="an ant\na bee\n")
        items = read_batch(source, DEFAULTS)
        assert [(item.name, item.shot.prompt) for item in items] == [
            ("a", "an ant"),
            ("b", "a bee"),
        ]
        assert items[0].shot.between == 5

    def test_missing_prompt(self, folder: Write) -> None:
        source = folder("a_1.png", "a_2.png", prompts="one\ntwo\n")
        with pytest.raises(BadInput, match="has 2 lines for 1 shots"):
            read_batch(source, DEFAULTS)

    def test_nothing_to_draw(self, folder: Write) -> None:
        with pytest.raises(BadInput, match="no shot in it"):
            read_batch(folder("single.png"), DEFAULTS)


class TestManifest:
    def read(self, tmp_path: Path, text: str) -> list[tuple[str, list[str], ShotArguments]]:
        (tmp_path / "m.csv").write_text(text, encoding="utf-8-sig")
        items = read_batch(tmp_path / "m.csv", DEFAULTS)
        return [(item.name, [Path(key).name for key in item.keys], item.shot) for item in items]

    def test_columns_are_options(self, tmp_path: Path) -> None:
        """An empty cell is the default of the command line; keys lie beside the table."""
        text = "name,first,last,between,on,prompt\ns1,a.png,b.png,3,2,a fox\n,c.png,d.png,,,\n"
        first, second = self.read(tmp_path, text)
        assert first[:2] == ("s1", ["a.png", "b.png"])
        assert (first[2].between, first[2].on, first[2].prompt) == (3, "2", "a fox")
        assert (first[2].fps, second[0]) == ("24", "c_d")
        assert second[2] == DEFAULTS

    def test_any_number_of_keys(self, tmp_path: Path) -> None:
        text = "key1,key2,key3,format\na.png,b.png,c.png,png;mp4\nd.png,e.png,,\n"
        first, second = self.read(tmp_path, text)
        assert (first[1], first[2].format) == (["a.png", "b.png", "c.png"], ["png", "mp4"])
        assert second[1] == ["d.png", "e.png"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("first,prompt\na,b\n", "needs columns `first` and `last`"),
            ("first,last,colour\na,b,c\n", "unknown columns: colour"),
            ("first,last,between\na,b,few\n", r"m.csv, line 2: between: .*integer"),
            ("name,first,last\n../x,a,b\n", r"line 2: `name` has to be usable as a folder"),
            ("name,first,last\nx,a,b\nx,c,d\n", "several shots are called x"),
        ],
    )
    def test_mistakes_are_named(self, tmp_path: Path, text: str, words: str) -> None:
        with pytest.raises(BadInput, match=words):
            self.read(tmp_path, text)
