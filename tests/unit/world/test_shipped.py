"""The shipped networks do what the card says: judges measure, the generator draws, directions move what they name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.core.checkpoint import file_digest, read_checkpoint, state_dict_of
from bench.core.contract import Direction, EditPass
from bench.core.metadata import read_metadata
from bench.core.observer import Output
from bench.run.truth import DIRECTIONS, TruthObserver, asked_change
from bench.world import open_world
from bench.world.asked import load_asked
from bench.world.generator import load_shipped_generator, sample_images
from bench.world.networks import WEIGHTS, WorldNetworks, load_world_networks
from bench.world.render import render
from bench.world.scene import other_photo, sample_people
from methods.training.recipe import load_recipe
from methods.training.tasks.judges import verification_accuracy

MADE = [path for path in sorted(WEIGHTS.glob("*.safetensors")) if path.stem not in ("directions", "asked")]


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
    facts = read_metadata(WEIGHTS / "directions.safetensors")
    changes = facts["change_at_strength_3"]
    assert changes["yaw"]["yaw"] > 12
    assert abs(changes["yaw"]["smile"]) < 0.1
    assert changes["smile"]["smile"] > 0.4
    assert abs(changes["smile"]["yaw"]) < 3
    images = sample_images(generator, 4)
    assert images.shape == (4, 3, 64, 64)


@pytest.mark.parametrize("path", MADE, ids=lambda path: path.stem)
def test_weights_name_how_they_were_made(path: object) -> None:
    made = read_metadata(path)["made"]  # type: ignore[arg-type]
    recipe = load_recipe(made["recipe"].replace("world-", "world/"))  # what earlier recipes were called
    assert made["steps"] > 0
    assert made["seed"] == recipe.seed
    assert made["wall_time_s"] > 0


def test_shipped_weights_stay_small() -> None:
    # Seeds and ablations are rows that run: 14 MB of it.
    assert sum(path.stat().st_size for path in WEIGHTS.glob("*.safetensors")) <= 68e6


def _turn(strength: float = 3.0) -> EditPass:
    """The world's own direction, as a run loads it."""
    vector = state_dict_of(read_checkpoint(DIRECTIONS))["yaw"].expand(10, -1)
    return EditPass("pose+", Direction("pose", "add", vector, ""), strength)


def test_observer_is_fair_to_the_true_edit() -> None:
    """The true edited image itself scores as good as it gets; the unedited image counts as no change."""
    observer, world = TruthObserver(load_world_networks()), open_world("test", 6)
    image = world.images[5]
    pixels = world.read(image)
    (asked,) = observer.asked([(image, _turn())])
    assert asked is not None and observer.knows(_turn())
    flow = {"flow": np.zeros((2, 32, 32), np.float32)}
    true, nothing, still = observer.observe(
        [Output(image, pixels, _turn(), asked, flow), None, Output(image, pixels, _turn(), pixels)]
    )
    assert not nothing.values and nothing.truth is None
    change = asked_change(image, _turn())
    assert change is not None and true.values["achieved"] == pytest.approx(change, abs=5.0)
    assert true.values["share"] == pytest.approx(1, abs=0.3)
    assert true.values["flow_epe"] == pytest.approx(true.values["flow_epe_of_zero"], rel=1e-5)
    assert true.values["flow_epe_moving"] > true.values["flow_epe"]
    assert true.values["flow_slope"] == 0
    assert still.values["achieved"] == still.values["share"] == 0
    assert not [name for name in still.values if name.startswith("flow")]
    assert still.truth is not None and np.array_equal(still.truth, pixels)


def test_what_is_said_of_an_image_does_not_depend_on_its_neighbours() -> None:
    observer, world = TruthObserver(load_world_networks()), open_world("test", 3)
    outputs = [Output(image, world.read(image), _turn(), world.read(world.images[0])) for image in world.images]
    together = observer.observe(outputs)
    for place, output in enumerate(outputs):
        alone = TruthObserver(load_world_networks()).observe(
            [output if at == place else None for at in range(len(outputs))]
        )[place]
        assert alone.values == together[place].values
        assert alone.truth is not None and np.array_equal(alone.truth, together[place].truth)


def test_asked_changes_are_those_of_the_shipped_directions() -> None:
    asked = load_asked()
    assert asked.directions == file_digest(DIRECTIONS)
    for attribute, size in (("smile", 0.3), ("yaw", 10.0), ("age", 0.1)):
        middle = float(np.mean(asked.knots[attribute]))
        more, less = asked(attribute, middle, 3.0), asked(attribute, middle, -3.0)
        assert more > size and less < -size
        assert asked(attribute, middle, 0.0) == pytest.approx(0, abs=1e-6)
        assert asked(attribute, middle, 100.0) == asked(attribute, middle, 6.0)
    # Who looks far aside already hardly turns any further.
    assert asked("yaw", 30.0, 3.0) < 0.3 * asked("yaw", -10.0, 3.0)


def test_a_strength_asks_for_the_change_it_was_found_for() -> None:
    asked, starts = load_asked(), np.linspace(-20, 20, 9)
    strength = asked.strength_of("yaw", starts, 8.0)
    assert np.mean([asked("yaw", start, strength) for start in starts]) == pytest.approx(8.0, abs=0.2)
    assert asked.strength_of("yaw", starts, -500.0) == -6.0


def test_a_direction_of_one_s_own_asks_for_nothing_known() -> None:
    own = EditPass("pose+", Direction("pose", "add", torch.zeros(10, 64), ""), 3.0)
    image = open_world("test", 1).images[0]
    observer = TruthObserver(load_world_networks())
    assert not observer.knows(own)
    assert observer.asked([(image, own)]) == [None]
    assert asked_change(image, own) is None
