"""The invariants of the "warpres" card, section 6, on a small network of the very classes of the full-size one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from bench.core.contract import listen
from bench.core.errors import UsageError
from methods.nets.flow.glunet import FlowConfig
from methods.nets.stylegan2 import Generator, GeneratorConfig
from methods.styleres.network import ResidualConfig
from methods.styleres.pipeline import Prefix, Prepared, StyleRes, pad_rows
from methods.warpres.network import WarpRes, WarpResConfig
from methods.warpres.presets import WORLD_RESIDUAL, WORLD_STYLERES, WORLD_WARPRES

CHANNELS = {4: 128, 8: 128, 16: 96, 32: 64, 64: 32}


def small_generator() -> Generator:
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(size=64, style_dim=128, channels=CHANNELS)).eval().requires_grad_(False)
    for name, value in generator.named_parameters():
        if name.endswith("noise.weight"):
            value.fill_(0.1)
    return generator


GENERATOR = small_generator()


def codes(seed: int = 1, count: int = 2) -> Tensor:
    return torch.randn(count, 10, 128, generator=torch.Generator().manual_seed(seed))


def base_features(count: int = 2) -> Tensor:
    return torch.randn(count, 32, 32, 32, generator=torch.Generator().manual_seed(9))


def warpres(**changes: object) -> WarpRes:
    torch.manual_seed(3)
    return WarpRes(replace(WORLD_WARPRES, **changes)).eval().requires_grad_(False)  # type: ignore[arg-type]


def fixed_flow(model: WarpRes, x: float) -> None:
    """Make the flow head answer with `x` cells to the right everywhere."""

    def answer(*_: Tensor) -> Tensor:
        flow = torch.zeros(2, 2, 32, 32)
        flow[:, 0] = x
        return flow

    model.flow = answer  # type: ignore[method-assign, assignment]


def transported(model: WarpRes, prepared: Prepared, wanted: Tensor) -> Tensor:
    prefix = model.prefix(GENERATOR, wanted)
    return model.transport(prepared.residual, model.flow(GENERATOR, prepared, wanted, prefix))


def test_zero_flow_leaves_the_residual_where_it_was() -> None:
    model = warpres()
    fixed_flow(model, 0.0)
    prepared = model.prepare(GENERATOR, codes(), base_features())
    torch.testing.assert_close(transported(model, prepared, codes(2)), prepared.residual, atol=5e-7, rtol=5e-7)


def test_unedited_codes_give_the_same_features_bit_for_bit() -> None:
    model = warpres()
    prepared = model.prepare(GENERATOR, codes(), base_features())
    assert torch.equal(model.prefix(GENERATOR, codes()).state.x, prepared.prefix.state.x)
    again = model.render(GENERATOR, prepared, codes())
    assert torch.equal(again.image, model.render(GENERATOR, prepared).image)


def test_zero_last_starts_from_the_base_encoders_image() -> None:
    model = warpres(residual=replace(WORLD_RESIDUAL, init="zero_last"))
    prepared = model.prepare(GENERATOR, codes(), base_features())
    rendered = model.render(GENERATOR, prepared, codes(2))
    assert rendered.addition.abs().max() == 0
    torch.testing.assert_close(rendered.image, GENERATOR(codes(2)), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("arch", ["styleres", "group_reduced"])
def test_zero_last_is_refused_where_the_last_block_adds_its_input(arch: str) -> None:
    with pytest.raises(UsageError, match="zero_last"):
        warpres(residual=replace(WORLD_RESIDUAL, arch=arch, width=64, init="zero_last"))  # type: ignore[arg-type]


@pytest.mark.parametrize("build", ["styleres", "warpres"])
def test_invert_once_and_edit_is_full_recomputation(build: str) -> None:
    torch.manual_seed(5)
    model = warpres() if build == "warpres" else StyleRes(WORLD_STYLERES).eval().requires_grad_(False)
    prepared = model.prepare(GENERATOR, codes(), base_features())
    model.render(GENERATOR, prepared, codes(7))
    edited = model.render(GENERATOR, prepared, codes(2)).image
    fresh = model.prepare(GENERATOR, codes(), base_features())
    torch.testing.assert_close(edited, model.render(GENERATOR, fresh, codes(2)).image, atol=0, rtol=0)


def test_one_cell_of_flow_takes_the_right_hand_residual_and_empties_the_last_column() -> None:
    model = warpres()
    fixed_flow(model, 1.0)
    prepared = model.prepare(GENERATOR, codes(), base_features())
    moved = transported(model, prepared, codes(2))
    torch.testing.assert_close(moved[..., :-1], prepared.residual[..., 1:], atol=5e-6, rtol=5e-6)
    assert moved[..., -1].abs().max() < 5e-6


def test_car_rows_line_up_with_the_bars_of_the_generators_image() -> None:
    base = torch.ones(1, 128, 48, 64)
    padded = pad_rows(base, 64)
    assert padded.shape == (1, 128, 64, 64)
    filled = padded[0, 0, :, 0].nonzero().flatten()
    # Rows 64..447 of 512 hold the car: 64 px are 8 cells of 64.
    assert (int(filled[0]), int(filled[-1])) == (64 // 8, 447 // 8)


def test_flow_is_announced_in_cells_and_stages_are_named() -> None:
    model = warpres()
    heard: list[tuple[str, tuple[int, ...]]] = []
    names: list[str] = []
    with listen(
        lambda name, begins: names.append(name) if begins else None,
        lambda name, value: heard.append((name, tuple(value.shape))),
    ):
        prepared = model.prepare(GENERATOR, codes(), base_features())
        model.render(GENERATOR, prepared, codes(2))
    assert heard == [("flow", (2, 2, 32, 32))]
    assert list(dict.fromkeys(names)) == ["prefix", "residual", "flow", "refine", "synthesise"]


def test_cells_are_pixels_over_pixels_a_cell() -> None:
    pixels = torch.full((1, 2, 32, 32), 6.0)
    assert torch.equal(warpres().cells(pixels), pixels / 2)
    full = WarpRes.__new__(WarpRes)
    full.__dict__.update(config=WarpResConfig(), flow_config=WarpResConfig())
    assert torch.equal(full.cells(torch.full((1, 2, 64, 64), 8.0)), torch.full((1, 2, 64, 64), 2.0))


def test_identity_flow_for_a_reconstruction_is_an_option() -> None:
    model = warpres(skip_flow_if_same=True)
    prepared = model.prepare(GENERATOR, codes(), base_features())
    assert model.render(GENERATOR, prepared).cells.abs().max() == 0  # type: ignore[union-attr]
    assert model.render(GENERATOR, prepared, codes(2)).cells.abs().max() > 0  # type: ignore[union-attr]


def test_images_can_feed_the_flow() -> None:
    model = warpres(flow_source="pictures")
    assert model.adapters is None
    prepared = model.prepare(GENERATOR, codes(), base_features())
    rendered = model.render(GENERATOR, prepared, codes(2))
    assert rendered.cells is not None and rendered.cells.shape == (2, 2, 32, 32)


@pytest.mark.parametrize("changes", [{}, {"adapter_relu": True}])
def test_every_trained_part_learns_and_the_generator_does_not(changes: dict[str, object]) -> None:
    torch.manual_seed(4)
    model = WarpRes(replace(WORLD_WARPRES, **changes))  # type: ignore[arg-type]
    prepared = model.prepare(GENERATOR, codes(), base_features())
    rendered = model.render(GENERATOR, prepared, codes(2))
    (rendered.image.square().mean() + rendered.addition.abs().mean()).backward()
    silent = [name for name, value in model.named_parameters() if value.grad is None]
    assert not silent
    assert all(value.grad is None for value in GENERATOR.parameters())


def test_gradient_reaches_the_codes_where_they_ask_for_it() -> None:
    model = warpres()
    wanted = codes(2).requires_grad_()
    prepared = model.prepare(GENERATOR, codes(), base_features())
    model.render(GENERATOR, prepared, wanted).image.mean().backward()
    assert wanted.grad is not None and wanted.grad.abs().max() > 0


def test_a_finer_feature_grid_keeps_the_flows_maps() -> None:
    config = WarpResConfig(
        residual=ResidualConfig(width=8, base_channels=4, feature_channels=32),
        feature_res=64,
        base_tap=0,
        flow=replace(WORLD_WARPRES.flow, channels=(8, 8, 8)),
        flow_layers=(2, 4, 5),
        flow_inputs=(128, 96, 64),
    )
    model = WarpRes(config).eval().requires_grad_(False)
    prefix: Prefix = model.prefix(GENERATOR, codes())
    assert [tuple(map_.shape[1:]) for map_ in prefix.maps] == [(128, 8, 8), (96, 16, 16), (64, 32, 32)]
    prepared = model.prepare(GENERATOR, codes(), torch.randn(2, 4, 64, 64))
    assert model.render(GENERATOR, prepared, codes(2)).cells.shape == (2, 2, 64, 64)  # type: ignore[union-attr]


def test_sizes_of_the_papers_network() -> None:
    with torch.device("meta"):
        model = WarpRes(WarpResConfig(flow=FlowConfig()))
    millions = [
        sum(p.numel() for p in part.parameters()) / 1e6 for part in (model.extractor, model.injector, model.head)
    ]
    adapters = sum(p.numel() for p in model.adapters.parameters()) / 1e6  # type: ignore[union-attr]
    assert [round(value, 2) for value in (*millions, adapters)] == [1.97, 6.77, 3.02, 4.13]
