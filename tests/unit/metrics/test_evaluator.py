"""The evaluator: one look an image, missing columns, digests, scores; with a world of toy networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.errors import FETCH, MissingError
from bench.core.evaluator import Evaluator
from metrics.columns import Batch, NoFace
from metrics.evaluator import ProtocolEvaluator, load_evaluator, plan_evaluator
from tests.unit.metrics.reference import images_u8

Weights = Callable[[str], Path]


def no_weights(name: str) -> Path:
    raise MissingError(f"{name} is not on this machine", f"run_bench.py weights fetch {name}")


class ToyWorld:
    """Feature maps by pooling, an embedding by projection; counts how many images it was shown."""

    digest = "toy"

    def __init__(self) -> None:
        self.seen = {"features": 0, "pooled": 0, "embed": 0}

    def features(self, images: Tensor, /) -> Sequence[Tensor]:
        self.seen["features"] += len(images)
        return [F.avg_pool2d(images, 4), F.avg_pool2d(images, 8)]

    def pooled(self, maps: Sequence[Tensor], /) -> Tensor:
        self.seen["pooled"] += len(maps[0])
        return F.avg_pool2d(maps[-1], 2).flatten(1)

    def embed(self, images: Tensor, /) -> Tensor:
        self.seen["embed"] += len(images)
        return F.normalize(F.avg_pool2d(images, 8).flatten(1), dim=1)


def synthetic(world: ToyWorld | None = None, batch: int = 3) -> ProtocolEvaluator:
    return load_evaluator(
        "synthetic-1", domain="faces", weights=no_weights, device="cpu", world=world or ToyWorld(), batch=batch
    )


def test_is_a_judge_of_the_contract() -> None:
    evaluator: Evaluator = synthetic()
    assert evaluator.protocol == "synthetic-1"
    assert evaluator.pair_metrics == ("lpips", "id", "ssim", "psnr")
    assert evaluator.set_metrics == ("fd",)
    assert evaluator.missing == {}


def test_each_network_sees_each_image_once() -> None:
    world = ToyWorld()
    evaluator = synthetic(world)
    images = images_u8(0, 7, 64)
    originals = evaluator.extract(images)
    generated = evaluator.extract(images[::-1])
    assert world.seen == {"features": 14, "pooled": 14, "embed": 14}
    evaluator.compare(generated, originals)
    assert world.seen == {"features": 14, "pooled": 14, "embed": 14}


def test_scores_mean_what_they_say() -> None:
    evaluator = synthetic()
    first, second = evaluator.extract(images_u8(0, 2, 64))
    same, other = evaluator.compare([first, second], [first, first])
    assert same.values["lpips"] == pytest.approx(0, abs=1e-6)
    assert same.values["id"] == pytest.approx(1)
    assert same.values["ssim"] == pytest.approx(1)
    assert same.values["psnr"] == 100
    assert other.values["lpips"] > 0.1
    assert other.values["id"] < 0.9
    assert other.values["ssim"] < 0.9
    assert other.features["fd"].dtype == np.float32
    assert other.features["fd"].shape == (48,)
    assert other.failures == {}


def test_batch_size_does_not_matter() -> None:
    images = images_u8(0, 5, 64)
    one, many = synthetic(batch=1), synthetic(batch=5)
    for a, b in zip(one.extract(images), many.extract(images), strict=True):
        (first,), (second,) = one.compare([a], [a]), many.compare([b], [b])
        assert first.values == pytest.approx(second.values, abs=1e-6)
        np.testing.assert_allclose(first.features["fd"], second.features["fd"], atol=1e-6)


def test_a_comparison_does_not_depend_on_its_neighbours() -> None:
    """To the last bit: what was asked beside an image must not move its numbers."""
    evaluator = synthetic()
    images = images_u8(0, 8, 64)
    first, second = evaluator.extract(images), evaluator.extract(images[::-1])
    together = [scored.values for scored in evaluator.compare(first, second)]
    assert together == [evaluator.compare([a], [b])[0].values for a, b in zip(first, second, strict=True)]


def test_a_refusal_is_a_failure_with_its_side() -> None:
    evaluator = synthetic()
    first, second = evaluator.extract(images_u8(0, 2, 64))
    no_face = {**second, "world_identity": NoFace("no face found")}
    assert evaluator.compare([no_face], [first])[0].failures == {"id": "no face found in the generated image"}
    assert evaluator.compare([first], [no_face])[0].failures == {"id": "no face found in the original image"}
    assert "id" not in evaluator.compare([first], [no_face])[0].values


def test_missing_networks_make_missing_columns() -> None:
    evaluator = load_evaluator("standard-1", domain="faces", weights=no_weights, device="cpu")
    assert set(evaluator.missing) == {"fid", "kid", "lpips", "lpips_vgg", "id"}
    assert str(evaluator.missing["kid"]) == str(evaluator.missing["fid"])
    assert "weights fetch inception-fid" in evaluator.missing["fid"].next_step
    assert evaluator.pair_metrics == ("ssim", "mse", "psnr")
    assert evaluator.set_metrics == ()
    cars = plan_evaluator("paper-1", domain="cars", weights=no_weights).missing
    assert set(cars) == {"fid", "lpips"}
    lost = load_evaluator("synthetic-1", domain="faces", weights=no_weights, device="cpu")
    assert set(lost.missing) == {"fd", "lpips", "id"}


def test_a_column_names_every_network_it_lacks_and_one_command() -> None:
    def nothing(name: str) -> Path:
        raise MissingError(f"{name} is not here", f"{FETCH} {name}", (name,))

    gaps = plan_evaluator("paper-1", domain="faces", weights=nothing).missing
    assert gaps["id_mtcnn"].files == ("curricularface", "mtcnn")
    assert gaps["id_mtcnn"].what == "curricularface is not here and mtcnn is not here"
    assert gaps["id_mtcnn"].next_step == "python run_bench.py weights fetch curricularface mtcnn"
    standard = plan_evaluator("standard-1", domain="faces", weights=nothing).missing
    assert standard["id"].files == ("curricularface", "insightface-buffalo_l")


def test_a_planned_judge_is_the_loaded_one_without_networks(weights: Weights) -> None:
    def some(name: str) -> Path:
        return weights(name) if name in ("alexnet-imagenet", "mtcnn") else no_weights(name)

    loaded = load_evaluator("paper-1", domain="faces", weights=some, device="cpu")
    planned = plan_evaluator("paper-1", domain="faces", weights=some)
    for name in ("protocol", "digest", "pair_metrics", "set_metrics", "feature_metrics", "lossy"):
        assert getattr(planned, name) == getattr(loaded, name), name
    assert set(planned.missing) == set(loaded.missing)


def test_only_owners_keep_features(weights: Weights) -> None:
    evaluator = plan_evaluator("standard-1", domain="faces", weights=weights)
    assert evaluator.set_metrics == ("fid", "kid")
    assert evaluator.feature_metrics == ("fid",)


def test_a_damaged_network_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / "alexnet.pth").write_bytes(b"PK damaged")

    def weights(name: str) -> Path:
        return tmp_path / "alexnet.pth" if name == "alexnet-imagenet" else no_weights(name)

    with pytest.raises(MissingError, match=r"alexnet\.pth"):
        load_evaluator("paper-1", domain="cars", weights=weights, device="cpu")


def test_digest_follows_protocol_networks_and_domain(weights: Weights) -> None:
    def only(*names: str) -> Weights:
        return lambda name: weights(name) if name in names else no_weights(name)

    def digest(protocol: str, domain: str, *names: str) -> str:
        return load_evaluator(protocol, domain=domain, weights=only(*names), device="cpu").digest  # type: ignore[arg-type]

    base = digest("paper-1", "cars")
    assert digest("paper-1", "cars") == base
    others = {digest("paper-1", "faces"), digest("standard-1", "cars"), digest("paper-1", "cars", "alexnet-imagenet")}
    assert base not in others
    assert len(others) == 3
    changed = ToyWorld()
    changed.digest = "other"
    assert synthetic(changed).digest != synthetic().digest


def test_paper_columns_with_filled_networks(weights: Weights) -> None:
    """Every column of paper-1, but for the slow ones, on images of another size than the protocol keeps."""

    def some(name: str) -> Path:
        return weights(name) if name in ("alexnet-imagenet", "mtcnn") else no_weights(name)

    evaluator = load_evaluator("paper-1", domain="faces", weights=some, device="cpu")
    assert set(evaluator.missing) == {"fid", "id", "id_mtcnn"}
    stored = [evaluator.store(image) for image in images_u8(0, 2, 300)]
    assert stored[0].shape == (256, 256, 3)
    first, second = evaluator.extract(stored)
    (scored,) = evaluator.compare([second], [first])
    assert set(scored.values) == {"lpips", "ssim", "mse", "psnr"}
    lossless = evaluator.extract([evaluator.store_lossless(images_u8(0, 2, 300)[0])])[0]
    (floor,) = evaluator.compare([first], [lossless])
    assert 30 < floor.values["psnr"] < 60
    assert floor.values["lpips"] < scored.values["lpips"]


@pytest.mark.slow
def test_every_column_with_filled_networks(weights: Weights) -> None:
    """The full-size networks in one evaluator: two images through Inception, AlexNet, IR-101 twice and the detector."""
    evaluator = load_evaluator("paper-1", domain="faces", weights=weights, device="cpu")
    assert evaluator.missing == {}
    assert evaluator.set_metrics == ("fid",)
    first, second = evaluator.extract([evaluator.store(image) for image in images_u8(0, 2, 256)])
    same, other = evaluator.compare([first, second], [first, first])
    assert same.features["fid"].shape == (2048,)
    assert same.values["id"] == pytest.approx(1, abs=1e-5)
    assert other.values["id"] < same.values["id"]
    # The filled detector finds faces at random; a pair either has a value or a reason.
    assert ("id_mtcnn" in other.values) != ("id_mtcnn" in other.failures)


def test_batch_forms() -> None:
    image = np.array([[[0, 128, 255]]], np.uint8)
    batch = Batch([image], torch.device("cpu"))
    assert batch.uint8.shape == (1, 3, 1, 1)
    assert batch.signed.flatten().tolist() == pytest.approx([-1, 128 / 127.5 - 1, 1], abs=1e-6)
