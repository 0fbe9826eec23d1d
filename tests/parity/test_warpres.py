"""Full-size WarpRes with filled weights: the goldens underneath it hold, and its own steps follow the plain formulas.

No WarpRes weights were ever released, so nothing can be compared as a whole: E_0, the generator and the flow head are
each checked against the authors' numbers, and the steps between them against the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.checkpoint import write_safetensors
from bench.core.contract import listen
from methods.nets.configs import to_dict
from methods.nets.flow.glunet import FlowConfig, Maps
from methods.nets.stylegan2 import State
from methods.registry import load_method
from methods.styleres.adapter import ResidualMethod
from methods.styleres.network import ResidualConfig
from methods.styleres.pipeline import StyleRes, StyleResConfig
from methods.warpres.network import WarpRes, WarpResConfig
from tests import filling
from tests.parity.comparison import Comparison, channel_groups, pooled

pytestmark = pytest.mark.parity
BASES = [
    ("e4e", "faces", "e4e_ffhq"),
    ("e4e", "cars", "e4e_cars"),
    ("psp", "faces", "psp_ffhq"),
    ("styletransformer", "faces", "style_transformer_ffhq"),
    ("styletransformer", "cars", "style_transformer_cars"),
]


def trained(path: Path, config: WarpResConfig, domain: str) -> Path:
    """A WarpRes checkpoint of ours: seeded E_1, E_2 and adapters, the flow head of the filled released network."""
    torch.manual_seed(0)
    model = WarpRes(config)
    head = {k: v for k, v in filling.tensors(config.flow.kind).items() if not k.startswith("pyramid.")}
    model.head.load_state_dict(head)
    tensors = {f"warpres.{name}": value for name, value in model.state_dict().items()}
    write_safetensors(path, tensors, {"method": "warpres", "domain": domain, "config": {"warpres": to_dict(config)}})
    return path


@pytest.fixture(scope="module", params=BASES, ids=[f"{base}-{domain}" for base, domain, _ in BASES])
def case(
    request: pytest.FixtureRequest, filled: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ResidualMethod, Comparison]]:
    base, domain, golden = request.param
    ours = trained(tmp_path_factory.mktemp("ours") / "warpres.safetensors", WarpResConfig(), domain)
    name = "warpres" if base == "e4e" else f"{base}+warpres"
    with filled(golden) as paths:
        method: Any = load_method(name, domain=domain, checkpoint=[*paths, ours])
    yield method, Comparison.of(golden)


def image(method: ResidualMethod) -> Tensor:
    images = filling.golden_image(0, 2, 256)[:1]
    return images[:, :, 32:224] if method.domain == "cars" else images


def pool(x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(channel_groups(x, 16), (min(16, x.shape[2]), min(16, x.shape[3])))


def test_inversion_agrees_with_the_base_encoders_golden(case: tuple[ResidualMethod, Comparison]) -> None:
    method, golden = case
    codes, taps = method.base.encode(image(method))
    golden.check("codes", codes, golden.expected("codes")[:1])
    if "c1_pool" in golden_names(golden):
        golden.check("c1_pool", pool(taps[1]), golden.expected("c1_pool")[:1])
    inversion = method.invert(image(method))
    assert torch.equal(inversion.codes, codes)
    assert inversion.residual.shape == inversion.features.shape == (1, 512, 64, 64)
    assert [tuple(map_.shape[1:]) for map_ in inversion.source] == [(512, 16, 16), (256, 32, 32), (128, 64, 64)]
    prefix = method.model.prefix(method.base.generator, codes)
    for key, map_ in (("g16b", prefix.maps[0]), ("g32b", prefix.maps[1]), ("g64a", inversion.features)):
        if f"{key}_pool" in golden_names(golden):
            golden.check(f"{key}_pool", pool(map_), golden.expected(f"{key}_pool")[:1])


def golden_names(golden: Comparison) -> set[str]:
    from tests.parity.goldens import golden as read

    return set(read(golden.name)[0])


def test_edit_is_the_plain_formula(case: tuple[ResidualMethod, Comparison]) -> None:
    method, golden = case
    if golden.name not in ("e4e_ffhq", "e4e_cars"):
        pytest.skip("one full picture a domain is enough; the steps after the codes are the same")
    model, generator = method.model, method.base.generator
    assert isinstance(model, WarpRes) and model.adapters is not None
    delta = torch.from_numpy(filling.fill("edit_direction", (method.latent_rows, 512), ["normal", 0.3]))
    inversion = method.invert(image(method))
    heard: list[Tensor] = []
    with listen(values=lambda name, value: heard.append(value) if name == "flow" else None):
        made = method.edit(inversion, delta)
    assert made.shape[1:] == (3, *method.output_size)

    def maps(codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return tuple(generator.advance(None, codes, stop).x for stop in (5, 7, 8))  # type: ignore[return-value]

    base = method.base.encode(image(method))[1][1]
    if method.domain == "cars":
        base = torch.cat((torch.zeros(1, 128, 8, 64), base, torch.zeros(1, 128, 8, 64)), dim=2)
    source, target = maps(inversion.codes), maps(inversion.codes + delta)
    residual = model.extractor(torch.cat((base,), 1), source[2])
    adapted = [
        Maps(*(layer(map_) for layer, map_ in zip(model.adapters, side, strict=True))) for side in (target, source)
    ]
    cells = model.head(*adapted).flow1 / 4
    torch.testing.assert_close(heard[0], cells, atol=1e-3, rtol=1e-4)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    position = torch.stack((x + cells[0, 0], y + cells[0, 1]), dim=-1)[None]
    warped = F.grid_sample(residual, 2 * position / 63 - 1, align_corners=True)
    features = target[2] + model.injector(target[2], warped)[0]
    rgb = generator.advance(None, inversion.codes + delta, 8).rgb
    plain = generator.advance(State(features, rgb, 8), inversion.codes + delta).rgb
    assert plain is not None
    if method.domain == "cars":
        plain = plain[:, :, 64:448]
    torch.testing.assert_close(made, plain, atol=2e-3, rtol=1e-3)


def test_styleres_shares_every_base(case: tuple[ResidualMethod, Comparison]) -> None:
    method, _ = case
    torch.manual_seed(1)
    model = StyleRes(StyleResConfig(residual=ResidualConfig())).eval().requires_grad_(False)
    other = ResidualMethod("styleres", method.base, model)
    inversion = other.invert(image(method))
    assert inversion.source == () and inversion.residual.shape == (1, 512, 64, 64)


@pytest.mark.parametrize("kind", ["warpc_glunet", "warpc_semantic_glunet"])
def test_flow_head_inside_warpres_is_the_authors(kind: str, tmp_path: Path) -> None:
    from tests.parity.test_flow import close, given_maps

    config = replace(WarpResConfig(), flow=FlowConfig(kind=kind))  # type: ignore[arg-type]
    model = WarpRes(config).eval()
    head = {k: v for k, v in filling.tensors(kind).items() if not k.startswith("pyramid.")}
    model.head.load_state_dict(head)
    close(model.head(*given_maps()).flow1, Comparison.of(kind), "feat_flow1_64")


def test_styleres_with_an_untrained_flow_is_the_released_one_beneath_it(filled: Callable[..., Any]) -> None:
    golden = Comparison.of("styleres_ffhq")
    with filled("styleres_ffhq") as released, filled("warpc_glunet") as flow:
        method: Any = load_method("styleres+flow", domain="faces", checkpoint=[*released, *flow])
    inversion = method.invert(filling.golden_image(0, 2, 256)[:1])
    golden.check("codes", inversion.codes, golden.expected("codes")[:1])
    prepared = method._prepared(inversion)
    # A filled flow network sees motion between equal images; without its flow the rest is the released StyleRes.
    still = method.model.finish(method.base.generator, prepared, inversion.codes, prepared.prefix, None)
    golden.check("inv_img_pool", pooled(still.image), golden.expected("inv_img_pool")[:1])
    heard: dict[str, Tensor] = {}
    delta = torch.from_numpy(filling.fill("edit_direction", (18, 512), ["normal", 0.3]))
    with listen(values=heard.__setitem__):
        made = method.edit(inversion, delta)
    assert heard["flow"].shape == (1, 2, 64, 64)
    assert torch.isfinite(made).all() and made.shape == (1, 3, 1024, 1024)


def test_a_shared_generator_replaces_the_base_methods_own(filled: Callable[..., Any], tmp_path: Path) -> None:
    ours = trained(tmp_path / "warpres.safetensors", WarpResConfig(), "faces")
    with filled("e4e_ffhq") as base, filled("stylegan2_1024") as shared:
        method: Any = load_method("warpres", domain="faces", checkpoint=[*base, ours, *shared])
        tensors = torch.load(shared[0], weights_only=True)["g_ema"]
    for name, value in method.base.generator.state_dict().items():
        assert torch.equal(value, tensors[name]), name
    golden = Comparison.of("e4e_ffhq")
    golden.check("codes", method.base.encode(image(method))[0], golden.expected("codes")[:1])
