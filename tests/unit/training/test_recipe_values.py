"""Recipes are checked whole, changed from outside, and digested by their values."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.core.errors import MissingError, UsageError
from methods.training.loop import train
from methods.training.recipe import load_recipe
from methods.training.task import choose_device
from tests.unit.training.test_loop import RECIPE, LineTask


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("weights.l3=1", "'l3'"),
        ("step=5", "'step'"),
        ("wiring=row", "'row'"),
        ("steps=many", "whole number"),
        ("steps=0", "at least 1"),
        ("seed=-1", "at least 0"),
        ("seed=99999999999999999999", "at most"),
        ("rate=0", "more than 0"),
        ("betas=[0.9, 1.0]", "below 1"),
        ("halve_at=[-1]", "at least 0"),
        ("warm_up=-5", "at least 0"),
        ("fall=2", "at most 1"),
        ("warm_up_share=-0.5", "at least 0"),
        ("weights.l2=-1", "weights.l2 is -1, but must be at least 0"),
        ("seeds=[3, 3]", "3 twice"),
        ("name=../../x", "name '..'"),
        ("name=''", "is empty"),
        ("output=../x.safetensors", "the file"),
        ("output=/etc/x", "the file"),
        ("output=log.jsonl", "means something else"),
        ("bfloat16=1", "true or false"),
        ("rate=nan", "finite"),
        ("average=-1", "at least 0"),
        ("betas=[0.9]", "list of 2"),
        ("weights=3", "a table"),
        ("weights.l2.x=3", "is no table"),
        ("batch", "key=value"),
    ],
)
def test_unknown_keys_and_wrong_values_are_refused(change: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe("world/e4e", [change])
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("world/styleres", "edited=3", "at most 1"),
        ("world/styleres", "r1_every=0", "at least 1"),
        ("world/styleres", "alpha=[0.5, 0.4]", "is no range"),
        ("world/styleres", "figures=0", "at least 4"),
        ("world/styleres", "figures=501", "at most 500"),
        ("world/styleres", "weights.flow=1", "model = styleres has no flow"),
        ("world/styleres", "train=flow", "model = styleres has no flow"),
        ("world/styleres", "flow_start=teacher.safetensors", "model = styleres has no flow"),
        ("world/warpres-pretrained-flow", "weights.flow=1", "there is no flow loss"),
        ("world/warpres-pretrained-flow", "flow_start=''", "a teacher's flow as it is"),
        ("world/warpres-without-flow-loss", "train=flow", "both are 0"),
        ("world/teacher", "both=0.5", "is 1.35, but they are shares"),
        ("world/generator", "mixing=2", "at most 1"),
        ("world/teacher", "moving=-1", "at least 0"),
        ("world/restyle", "iterations=0", "at least 1"),
        ("world/hyperstyle", "iterations=-1", "at least 1"),
        ("world/featurestyle", "scales=9", "at most 5"),
        ("world/hfgi", "distorted_share=5", "at most 1"),
        ("world/fit", "half_size_share=3", "at most 1"),
        ("world/psp+warpres", "flow_rate_factor=0", "more than 0"),
        ("world/hfgi", "weights.deltas=1", "'deltas'"),
        ("world/featurestyle", "weights.w_adversarial=1", "'w_adversarial'"),
        ("world/w-encoder", "weights.deltas=1", "'deltas'"),
        ("own/e4e", "perceptual_network=vgg16", "has nothing to do"),
        ("own/warpres", "perceptual_network=vgg16", "has nothing to do"),
        ("own/e4e", "workers=0", "at least 1"),
        ("own/e4e", "weights.perceptual=1", "no perceptual_network"),
        ("own/styleres", "width=-1", "at least 1"),
        ("own/styleres", "weights.flow=1", "model = styleres has no flow"),
        ("faces/warpres", "width=0", "at least 1"),
        ("faces/warpres", "adapter_warm_up=-5", "at least 0"),
        ("faces/warpres", "clip=-1", "at least 0"),
        ("faces/warpres", "edit_share=1.1", "at most 1"),
        ("cars/styleres", "held_out=-1", "at least 0"),
    ],
)
def test_every_task_refuses_numbers_that_mean_nothing(name: str, change: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe(name, [change])
    assert said in str(caught.value)


def test_close_names_come_first() -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe("world/e4e", ["weights.perceptal=1"])
    assert caught.value.next_step.startswith("did you mean perceptual?")
    with pytest.raises(UsageError) as caught:
        load_recipe("world/e4e", ["warmup=5"])
    assert "warm_up" in caught.value.next_step.split("known:")[0]


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("faces/warpres", "ema=0.999", "average, a half-life in images"),
        ("faces/warpres", "cycle_id_weight=0.1", "cycle.identity"),
        ("cars/styleres", "lambda_F=3", "weights.regulariser"),
        ("world/e4e", "batch_size=4", "called batch"),
        ("world/warpres", "path_choice=batch", "a choice of full-size trainings alone"),
        ("world/styleres", "vgg_layers=['relu4_3']", "faces/..."),
    ],
)
def test_names_of_the_cards_are_refused_by_name(name: str, change: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe(name, [change])
    assert said in str(caught.value)


def test_the_digest_is_that_of_the_values(tmp_path: Path) -> None:
    shipped = load_recipe("world/e4e")
    changed = load_recipe("world/e4e", ["weights.l2=0.5", "rate=2e-3"])
    path = tmp_path / "mine.toml"
    content = Path("methods/training/recipes/world/e4e.toml")
    text = (Path(__file__).parents[3] / content).read_text()
    path.write_text(text.replace("\nl2 = 1.0", "\nl2 = 0.5").replace("\nrate = 1.5e-3", "\n# mine\nrate = 0.002"))
    assert load_recipe(path).digest == changed.digest
    assert changed.digest != shipped.digest
    # A value that is the default anyway, written out or not, is the same training.
    assert load_recipe("world/e4e", ["tf32=true"]).digest == shipped.digest
    assert shipped.with_seed(99).digest != shipped.digest
    assert shipped.scaled(0.5).steps == round(shipped.steps / 2)
    assert shipped.scaled(1.0) is shipped


def test_a_further_seed_has_its_own_name_and_output() -> None:
    recipe = load_recipe("world/e4e-s7")
    assert (recipe.seed, recipe.name, recipe.output) == (7, "world/e4e-s7", "e4e-s7.safetensors")


@pytest.mark.parametrize("number", ["99999999999", "9" * 5000, "²"])
def test_a_further_seed_is_a_number_that_a_seed_may_be(number: str) -> None:
    with pytest.raises(UsageError, match=r"at most|unknown recipe"):
        load_recipe(f"world/e4e-s{number}")


def test_a_further_seed_is_given_by_the_name_alone() -> None:
    with pytest.raises(UsageError, match="seed of world/e4e-s7 is in its name"):
        load_recipe("world/e4e-s7", ["seed=8"])


def test_a_further_seed_writes_none_of_the_first_one_s_files() -> None:
    recipe = load_recipe("world/generator-s7")
    assert (recipe.output, recipe.also) == ("generator-s7.safetensors", ("discriminator-s7.safetensors",))


def test_no_output_takes_the_place_of_what_a_training_keeps(tmp_path: Path) -> None:
    for until in (1, 2):
        train(LineTask(), RECIPE, tmp_path, until=until)
    kept = {path.name for path in tmp_path.iterdir()}
    assert {"checkpoint-0.pt", "checkpoint-1.json", "log.jsonl", "lock"} <= kept
    for name in kept:
        with pytest.raises(UsageError, match="means something else"):
            load_recipe("world/e4e", [f"output={name}"])


def test_devices_are_named() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(UsageError, match="unknown device"):
        choose_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(MissingError, match="no cuda device"):
            choose_device("cuda")


def test_a_file_that_another_takes_the_place_of_is_no_longer_needed() -> None:
    as_shipped = load_recipe("world/styleres").needs
    other = load_recipe("world/styleres", ['start="styleres.safetensors"', 'chosen_by=""']).needs
    assert set(other) == set(as_shipped) - {"residual-start.safetensors", "sweep.json"} | {"styleres.safetensors"}


@pytest.mark.parametrize(
    ("name", "change", "file"),
    [
        ("world/styleres", "base=psp", "psp.safetensors"),
        ("world/residual-start", "start=styleres.safetensors", "styleres.safetensors"),
        ("world/w-encoder", "start=psp", "psp.safetensors"),
        ("world/restyle", "over=psp", "psp.safetensors"),
        ("world/styletransformer", "start=psp", "psp.safetensors"),
    ],
)
def test_a_file_that_an_option_names_is_needed(name: str, change: str, file: str) -> None:
    shipped = load_recipe(name)
    assert file not in shipped.needs
    assert set(load_recipe(name, [change]).needs) >= {file}
