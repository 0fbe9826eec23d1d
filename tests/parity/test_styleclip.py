"""StyleCLIP's mappers against the authors' networks: both containers, with and without a fine group."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.edits.cards import find_card
from bench.edits.directions import load_direction
from bench.edits.mapper_files import load_mapper
from methods.nets.mapper import LatentMapper
from tests import filling
from tests.parity.comparison import Comparison

pytestmark = pytest.mark.parity
GROUPS = {
    "styleclip_mapper": ("course", "medium", "fine"),
    "styleclip_mapper_coarse_medium": ("course", "medium"),
}


def codes(seed: int = 0) -> tuple[Tensor, Tensor]:
    """W+ codes (2, 18, 512) with rows of their own, and ones of equal rows."""
    own = filling.fill("styleclip_codes", (2, 18, 512), ["normal", 0.7], seed)
    equal = filling.fill("styleclip_w", (2, 512), ["normal", 0.7], seed)
    return torch.from_numpy(own), torch.from_numpy(equal)[:, None].repeat(1, 18, 1)


@pytest.fixture(params=sorted(GROUPS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("container", [0, 1])
def test_mapper_is_the_authors(
    name: str, container: int, filled: Callable[..., Any], comparison: Callable[..., Comparison]
) -> None:
    recorder = comparison(name)
    with filled(name) as paths:
        mapper = load_mapper(paths[container])
        step = direction_of(paths[container]).delta(codes()[0], 0.1)
    assert mapper.groups == GROUPS[name]
    own, equal = codes()
    for key, value in coarse_stages(mapper, own).items():
        recorder.check(key, value)
    recorder.check("delta", mapper(own))
    recorder.check("edited", own + step)
    recorder.check("delta_w", mapper(equal)[:, [0, 4, 8]])
    # The golden's last array is the wrong answer, of a norm over the features.
    wrong = recorder.expected("control_feature_norm_delta")
    assert float((mapper(own)[0, [0, 4, 8]] - torch.from_numpy(wrong)).abs().max()) > 0.5
    recorder.check("control_feature_norm_delta", wrong)
    assert not recorder.unchecked()


def direction_of(path: Path) -> Any:
    card = find_card("styleclip_purple_hair", "ffhq-1024")
    return load_direction(card, lambda _: path, generator="ffhq-1024", latent_rows=18)


def coarse_stages(mapper: LatentMapper, own: Tensor) -> dict[str, Tensor]:
    group: Any = mapper.get_submodule("course_mapping")
    found = {"coarse_norm": group.norm(own[:, :4])}
    value = found["coarse_norm"]
    for number in (1, 2, 3):
        value = group.mapping[str(number)](value)
        found[f"coarse_fc{number}"] = value
    return found


def test_rows_of_an_absent_group_stay(filled: Callable[..., Any]) -> None:
    with filled("styleclip_mapper_coarse_medium") as paths:
        step = load_mapper(paths[0])(codes()[0])
    assert not step[:, 8:].any() and step[:, :8].any()
