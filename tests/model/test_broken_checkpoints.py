"""Published files that are not what they should be: refused, and nothing is left."""

import pickle
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model.conversion import convert
from model.presets import TINY
from model.published_file import CheckpointError
from testkit.model.published_layout import (
    Tensors,
    save_half_safetensors,
    save_state_dict,
)

MISSING = "model.diffusion_model.out.2.bias"


class Sabotage:
    """Something that runs when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return (print, ("code ran",))


def without_one(path: Path, tensors: Tensors) -> None:
    save_state_dict(path, {name: tensor for name, tensor in tensors.items() if name != MISSING})


def with_another(path: Path, tensors: Tensors) -> None:
    save_state_dict(path, tensors | {"model.diffusion_model.stray": torch.zeros(1)})


def misshaped(path: Path, tensors: Tensors) -> None:
    save_state_dict(path, tensors | {MISSING: torch.zeros(5)})


def not_finite(path: Path, tensors: Tensors) -> None:
    save_state_dict(path, tensors | {MISSING: torch.tensor([0.0, 1e6, 0.0, 0.0])})


def truncated_pickle(path: Path, tensors: Tensors) -> None:
    save_state_dict(path, tensors)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def truncated_safetensors(path: Path, tensors: Tensors) -> None:
    save_half_safetensors(path, tensors)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def with_code(path: Path, tensors: Tensors) -> None:
    torch.save({"state_dict": tensors, "callbacks": Sabotage()}, path)


def old_pickle_with_code(path: Path, tensors: Tensors) -> None:
    path.write_bytes(pickle.dumps(Sabotage()))


def no_tensors(path: Path, tensors: Tensors) -> None:
    torch.save({"state_dict": {"epoch": 3}}, path)


def a_web_page(path: Path, tensors: Tensors) -> None:
    path.write_text("<!doctype html><title>Sign in</title>")


def empty(path: Path, tensors: Tensors) -> None:
    path.touch()


class TestRefusal:
    @pytest.mark.parametrize(
        ("damage", "complaint"),
        [
            (without_one, f"{MISSING} is missing"),
            (with_another, "model.diffusion_model.stray is not part of this model"),
            (misshaped, rf"{MISSING} has to be \[4\] but is \[5\]"),
            (not_finite, "not finite"),
            (truncated_pickle, "damaged or cut short"),
            (truncated_safetensors, "damaged or cut short"),
            (with_code, "perhaps code"),
            (old_pickle_with_code, "neither a torch checkpoint nor a safetensors file"),
            (no_tensors, "no state dict"),
            (a_web_page, "neither a torch checkpoint nor a safetensors file"),
            (empty, "neither a torch checkpoint nor a safetensors file"),
        ],
    )
    def test_names_the_fault_and_leaves_nothing(
        self,
        damage: Callable[[Path, Tensors], None],
        complaint: str,
        published: Tensors,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        damage(tmp_path / "published", published)
        with pytest.raises(CheckpointError, match=complaint):
            convert(tmp_path / "published", tmp_path / "folder", sizes=TINY)
        assert [path.name for path in tmp_path.iterdir()] == ["published"]
        assert "code ran" not in capsys.readouterr().out

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="No such file"):
            convert(tmp_path / "published", tmp_path / "folder", sizes=TINY)

    def test_the_wrong_sketch_encoder(self, published: Tensors, tmp_path: Path) -> None:
        save_state_dict(tmp_path / "published", published)
        with pytest.raises(CheckpointError, match="is missing"):
            convert(tmp_path / "published", tmp_path / "folder", tmp_path / "published", TINY)

    def test_a_folder_that_exists(self, published: Tensors, tmp_path: Path) -> None:
        save_state_dict(tmp_path / "published", published)
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "precious").touch()
        with pytest.raises(CheckpointError, match="exists already"):
            convert(tmp_path / "published", tmp_path / "folder", sizes=TINY)
        assert (tmp_path / "folder" / "precious").exists()

    @pytest.mark.long
    def test_a_full_disk(self, published: Tensors, tmp_path: Path) -> None:
        """Played by a limit on the size of files: the command ends with a message, without a stack
        trace.
        """
        save_state_dict(tmp_path / "published", published)
        limit = 300_000
        command = [
            sys.executable,
            "-m",
            "model.checkpoint",
            "convert",
            "published",
            "folder",
            "--preset",
            "tiny",
        ]
        root = Path(__file__).parents[2]
        ended = subprocess.run(
            command,
            cwd=tmp_path,
            env={"PYTHONPATH": str(root), "PATH": "/usr/bin"},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 1
        assert "folder cannot be written: File too large" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["published"]
