"""The shipped networks do what the card says: judges measure, the generator draws, directions move what they name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.core.contract import Direction, EditPass
from bench.run.truth import TruthObserver, nominal_change
from bench.world import open_world
from bench.world.generator import load_shipped_generator, sample_images
from bench.world.networks import WEIGHTS, WorldNetworks, load_world_networks
from bench.world.render import render, to_uint8
from bench.world.scene import other_photo, sample_people
from bench.world.truth import edited
from methods.training.recipe import load_recipe
from methods.training.tasks.judges import verification_accuracy
from methods.training.world_card import metadata_of

MADE = [path for path in sorted(WEIGHTS.glob("*.safetensors")) if path.stem != "directions"]


@pytest.fixture(scope="module")
def networks() -> WorldNetworks:
    return load_world_networks()


@torch.inference_mode()
def test_regressor_measures_unseen_faces(networks: WorldNetworks) -> None:
    scene = sample_people(120, 77)
    measured = networks.attributes(render(scene))
    assert (measured["yaw"] - scene["yaw"]).abs().mean() < 3.0
    assert (measured["smile"] - scene["smile"]).abs().mean() < 0.12
    assert (measured["age"] - scene["age"]).abs().mean() < 0.2


@torch.inference_mode()
def test_embedder_knows_people_on_another_day(networks: WorldNetworks) -> None:
    scene = sample_people(120, 78)
    first, second = networks.embed(render(scene)), networks.embed(render(other_photo(scene, 1)))
    assert torch.allclose(first.norm(dim=1), torch.ones(120), atol=1e-5)
    assert verification_accuracy((first * second).sum(1), (first * second.roll(1, 0)).sum(1)) > 0.97


@torch.inference_mode()
def test_directions_move_what_they_name(networks: WorldNetworks) -> None:
    generator = load_shipped_generator()
    facts = metadata_of(WEIGHTS / "directions.safetensors")
    changes = facts["change_at_strength_3"]
    assert changes["yaw"]["yaw"] > 12
    assert abs(changes["yaw"]["smile"]) < 0.1
    assert changes["smile"]["smile"] > 0.4
    assert abs(changes["smile"]["yaw"]) < 3
    images = sample_images(generator, 4)
    assert images.shape == (4, 3, 64, 64)


@pytest.mark.parametrize("path", MADE, ids=lambda path: path.stem)
def test_weights_name_how_they_were_made(path: object) -> None:
    made = metadata_of(path)["made"]  # type: ignore[arg-type]
    recipe = load_recipe(made["recipe"].replace("world-", "world/"))  # what earlier recipes were called
    assert made["steps"] > 0
    assert made["seed"] == recipe.seed
    assert made["wall_time_s"] > 0


def test_shipped_weights_stay_small() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.glob("*.safetensors")) < 40e6


def test_observer_is_fair_to_the_true_edit() -> None:
    """The true edited image itself scores as good as it gets; the unedited image counts as no change."""
    observer = TruthObserver(load_world_networks())
    image = open_world("test", 6).images[5]
    world = open_world("test", 6)
    turn = EditPass("pose+", Direction("pose", "add", torch.zeros(10, 64), ""), 3.0)
    from bench.world.dataset import scene_of

    truth = to_uint8(render(edited(scene_of(image.name), "yaw", 15.0)))[0].numpy()
    said = observer.observe(image, turn, truth, {"flow": np.zeros((2, 32, 32), np.float32)}).values
    assert said["achieved"] == pytest.approx(15.0, abs=5.0)
    assert said["truth_psnr"] > 24
    still = observer.observe(image, turn, world.read(image), {}).values
    assert still["achieved"] == 0
    assert still["truth_psnr"] == 100
    assert still["id_of_truth"] == pytest.approx(1, abs=1e-5)
    assert 0.9 < said["id_of_truth"] < 1
    assert said["flow_epe"] == pytest.approx(said["flow_epe_of_zero"], rel=1e-5)
    assert 0 < said["flow_epe_teacher"] < 0.5 * said["flow_epe_of_zero"]
    assert "flow_epe_teacher" not in still
    assert observer.truth(image, turn) is not None
    assert nominal_change("yaw") > 3
