"""What a full-size training takes: images in one order, files that are missing, conflicts that are refused."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench.core.errors import MissingError, UsageError
from bench.core.schema import from_table
from bench.weights import registry
from methods.training.__main__ import _parser
from methods.training.full_size.images import TrainingImages
from methods.training.full_size.networks import find_files
from methods.training.full_size.options import Options
from methods.training.loss_networks import load_identity
from methods.training.processes import Processes
from methods.training.recipe import load_recipe, shipped_recipes
from tests.benchmarks.full_size_training import moco
from tests.unit.training.test_full_size import photographs


def test_each_image_comes_once_an_epoch_from_a_folder_as_from_a_zip(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "folder", 6)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    seen = []
    for source in (folder, tmp_path / "all.zip"):
        images = TrainingImages(source, (32, 32), 2, 0, held_out=0, workers=2)
        steps = [images.step(step, Processes()) for step in range(6)]
        assert all(step.shape == (2, 3, 32, 32) and step.dtype == torch.uint8 for step in steps)
        for epoch in (steps[:3], steps[3:]):
            assert len({image.numpy().tobytes() for image in torch.cat(epoch)}) == 6
        assert not torch.equal(torch.cat(steps[:3]), torch.cat(steps[3:]))
        seen.append(torch.cat(steps))
    assert torch.equal(*seen)


def test_other_images_have_another_digest(tmp_path: Path) -> None:
    def digest(count: int) -> str:
        return TrainingImages(photographs(tmp_path / "all", count), (32, 32), 2, 0, held_out=0, workers=1).digest

    assert digest(3) == digest(3) != digest(4)


def test_a_resumed_training_and_two_processes_see_the_same_batches(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "folder", 5)

    def fresh() -> TrainingImages:
        return TrainingImages(folder, (32, 32), 4, 7, held_out=0, workers=2)

    straight = fresh()
    for step in range(4):
        straight.step(step, Processes())
    expected = straight.step(4, Processes())
    assert torch.equal(fresh().step(4, Processes()), expected)
    halves = [fresh().step(4, Processes(rank, 2)) for rank in range(2)]
    assert torch.equal(torch.stack(halves, 1).flatten(0, 1), expected)


def test_halving_is_the_mean_of_blocks_and_damaged_images_are_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.kron(np.arange(4, dtype=np.uint8).reshape(2, 2) * 60, np.ones((16, 16), np.uint8))
    pixels[::2] += 2
    Image.fromarray(np.repeat(pixels[:, :, None], 3, 2)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    images = TrainingImages(tmp_path, (16, 16), 2, 0, held_out=0, workers=1)
    found = images.step(0, Processes())
    expected = pixels.reshape(16, 2, 16, 2).mean((1, 3))
    assert torch.equal(found[0], found[1])
    np.testing.assert_array_equal(found[0, 0].numpy(), expected)
    assert "b.png" in capsys.readouterr().err
    (tmp_path / "a.png").unlink()
    with pytest.raises(MissingError, match="none of the training images"):
        TrainingImages(tmp_path, (16, 16), 2, 0, held_out=0, workers=1).step(0, Processes())


# --- recipes and files


@pytest.mark.parametrize("name", [name for name in shipped_recipes() if name.split("/")[0] in ("faces", "cars")])
def test_all_that_is_missing_is_listed_at_once_with_its_command(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(tmp_path))
    chosen = from_table(Options, load_recipe(name).options, name)
    with pytest.raises(MissingError) as caught:
        find_files(chosen, None, f"python -m methods.training {name}")
    error = caught.value
    wanted = {"e4e-faces", "stylegan2-ffhq", "nvidia-discriminator-256", "vgg16-keras", "arcface-irse50"}
    if name.startswith("cars"):
        wanted = {"e4e-cars", "vgg16-keras", "moco-v2-resnet50"}
    if "styleres" not in name:
        wanted.add("warpc-glunet")
    assert set(error.files) == wanted
    assert "--data" in error.next_step and "weights fetch" in error.next_step
    assert all(part in error.what for part in wanted)


CONFLICTS: list[tuple[dict[str, Any], str]] = [
    ({"gate": True}, "gate = true"),
    ({"arch": "styleres", "gate": False}, "gate = false"),
    ({"domain": "cars", "base": "psp"}, "base = psp"),
    ({"domain": "cars"}, "base_generator = shared"),
    ({"domain": "cars", "base_generator": "own"}, "d_start = pretrained"),
    ({"d_res": "native"}, "d_start = pretrained"),
    ({"flow_source": "pictures"}, "flow_source = pictures"),
    ({"model": "styleres"}, "model = styleres"),
    ({"adapter_warm_up": 3}, "flow_norm_steps"),
    ({"vgg_layers": ("relu4_4",)}, "vgg_layers"),
    ({"vgg_layers": ()}, "vgg_layers"),
    ({"edit_share": 1.5}, "edit_share"),
    ({"r1_every": 0}, "r1_every"),
    ({"alpha": (0.5, 0.4)}, "alpha"),
]


@pytest.mark.parametrize(("change", "said"), CONFLICTS, ids=lambda value: value if isinstance(value, str) else "")
def test_what_cannot_be_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        from_table(Options, {"domain": "faces", "model": "warpres"} | change, "here")


TRAINABLE = [item for item in registry.entries().values() if item.training]


@pytest.mark.parametrize("item", TRAINABLE, ids=lambda item: item.name)
def test_what_nobody_released_is_missing_with_the_command_that_trains_it(item: registry.Entry) -> None:
    error = registry.missing(item)
    assert error.next_step.startswith(f"python -m methods.training {item.training}; ")
    given = _parser().parse_args(item.training.split())
    recipe = load_recipe(given.recipe, given.set)
    chosen = from_table(Options, recipe.options, recipe.name)
    base = item.method.rpartition("+")[0] or "e4e"
    assert (chosen.domain, chosen.base, chosen.model) == (item.domain, base, item.method.rpartition("+")[2])
    made = (given.out / recipe.name / recipe.output).as_posix()
    assert error.next_step.endswith(f"--checkpoint {item.method}={made}")


def test_every_unreleased_styleres_and_warpres_can_be_trained() -> None:
    closed = [item for item in registry.entries().values() if item.status == "not released"]
    residual = {item.name for item in closed if item.method.rpartition("+")[2] in ("styleres", "warpres")}
    assert residual == {item.name for item in TRAINABLE}


def test_the_cars_identity_network_reads_mocos_file(tmp_path: Path) -> None:
    torch.save(moco(), tmp_path / "moco.pt")
    network = load_identity(tmp_path / "moco.pt", "cars")
    images = torch.rand(2, 3, 192, 256) * 2 - 1
    both, alone = network(images), network(images[:1])
    assert both.shape == (2, 2048) and alone.shape == (1, 2048)
    torch.testing.assert_close(both.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(alone, both[:1], rtol=0, atol=1e-5)
    content = moco()
    del content["state_dict"]["module.encoder_q.layer1.0.conv1.weight"]
    torch.save(content, tmp_path / "moco.pt")
    with pytest.raises(MissingError, match=r"missing module\.encoder_q\.layer1\.0\.conv1\.weight"):
        load_identity(tmp_path / "moco.pt", "cars")
    torch.save({"state_dict": {"conv1.weight": torch.ones(1)}}, tmp_path / "moco.pt")
    with pytest.raises(MissingError, match=r"holds no module\.encoder_q"):
        load_identity(tmp_path / "moco.pt", "cars")


def test_a_damaged_image_is_none_of_the_held_out_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = photographs(tmp_path / "folder", 20)
    (folder / "0.png").write_bytes(b"no picture")
    images = TrainingImages(folder, (32, 32), 2, 0, held_out=2, workers=2)
    assert "held-out images: 0.png" in capsys.readouterr().err
    assert len(images.held_out) == 1 and "0.png" not in images.names
    assert images.kept(0, 2).shape == (1, 3, 32, 32)


def test_what_the_system_puts_beside_images_is_no_image(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "folder", 2)
    (folder / "labels.csv").write_text("of something else\n")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"in/{path.name}")
            archive.write(path, f"__MACOSX/in/{path.name}")
            archive.write(path, f".trash/{path.name}")
    for source in (folder, tmp_path / "all.zip"):
        assert len(TrainingImages(source, (32, 32), 2, 0, held_out=0, workers=2).names) == 2


def test_squashing_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        Image.new("RGB", (60, 40)).save(tmp_path / f"{name}.png")
    TrainingImages(tmp_path, (32, 32), 4, 0, held_out=0, workers=1).step(0, Processes())
    assert capsys.readouterr().err.count("squashed") == 1
    TrainingImages(tmp_path, (24, 32), 4, 0, held_out=0, workers=1).step(0, Processes())
    assert "squashed" not in capsys.readouterr().err
