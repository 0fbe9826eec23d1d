"""Invert once, edit many: how E_0, E_1, E_2 and the generator work together ("styleres" card 6, "warpres" card 1).

`StyleRes` owns what is trained; the frozen generator (`requires_grad_(False)`) and the base encoder's features are
handed in. WarpRes is the same pipeline with another `flow` and `transport`. Everything is differentiable, so that
adapters and training run the same lines.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.contract import stage
from methods.nets.stylegan2 import State, Synthesis
from methods.styleres.network import ResidualConfig, build_residual


@dataclass(frozen=True)
class StyleResConfig:
    """What a StyleRes is made of.

    Attributes:
        residual: E_1 and E_2.
        feature_res: Side of the generator map that is read and added to: output of the first convolution at that size.
        base_tap: Which backbone stage's output is F_0 (0, 1, ... as `IRSE.taps` returns them).
    """

    residual: ResidualConfig = field(default_factory=lambda: ResidualConfig(arch="styleres", width=512))
    feature_res: int = 64
    base_tap: int = 1

    @property
    def tap_layer(self) -> int:
        """Generator layer whose output is F_g: 7 for 64 px, 5 for 32 px."""
        return 2 * (self.feature_res.bit_length() - 1) - 5


class Prefix(NamedTuple):
    """The generator run up to the tap on some codes.

    Attributes:
        state: Stands right after the tap; `state.x` is F_g or F_e (N, C, r, r).
        maps: Outputs of the further layers asked for, coarse to fine.
    """

    state: State
    maps: tuple[Tensor, ...]


class Prepared(NamedTuple):
    """All that depends on the image alone.

    Attributes:
        codes: (N, L, D), W+ with latent_avg.
        residual: F_a (N, C, r, r).
        prefix: Of the unedited codes.
        source: Feature maps of the unedited image for the flow, coarse to fine; empty without a flow.
    """

    codes: Tensor
    residual: Tensor
    prefix: Prefix
    source: tuple[Tensor, ...] = ()


class Rendered(NamedTuple):
    """One image and what training looks at.

    Attributes:
        image: (N, 3, S, S), unbounded, nominal range [-1, 1].
        addition: F, E_2's output before any gate, (N, C, r, r).
        gate: (N, 1, r, r), or None where the build has none.
        cells: Flow from the edited to the unedited image in cells of the feature grid (N, 2, r, r), or None.
    """

    image: Tensor
    addition: Tensor
    gate: Tensor | None
    cells: Tensor | None


class StyleRes(nn.Module):
    """E_1 and E_2 with the steps around them."""

    stages: tuple[str, ...] = ("prefix", "residual", "refine", "synthesise")

    def __init__(self, config: StyleResConfig | None = None) -> None:
        super().__init__()
        self.config = config or StyleResConfig()
        self.extractor, self.injector = build_residual(self.config.residual)

    @property
    def map_layers(self) -> tuple[int, ...]:
        """Generator layers below the tap whose outputs `prefix` keeps."""
        return ()

    def prefix(self, generator: Synthesis, codes: Tensor) -> Prefix:
        """Run the generator on codes (N, L, D) up to the tap."""
        state, maps = None, []
        for layer in self.map_layers:
            state = generator.advance(state, codes, layer + 1)
            maps.append(state.x)
        return Prefix(generator.advance(state, codes, self.config.tap_layer + 1), tuple(maps))

    def prepare(self, generator: Synthesis, codes: Tensor, base: Tensor) -> Prepared:
        """The invert-once set.

        Args:
            codes: (N, L, D), with latent_avg.
            base: F_0 (N, B, h, w); fewer rows than the feature grid (cars) are padded with zeros above and below.
        """
        with stage("prefix"):
            prefix = self.prefix(generator, codes)
        with stage("residual"):
            residual = self.extractor(pad_rows(base, self.config.feature_res), prefix.state.x)
        return Prepared(codes, residual, prefix, self.flow_maps(generator, codes, prefix))

    def flow_maps(self, generator: Synthesis, codes: Tensor, prefix: Prefix) -> tuple[Tensor, ...]:
        """Maps that the flow compares; none here."""
        return ()

    def flow(self, generator: Synthesis, prepared: Prepared, codes: Tensor, prefix: Prefix) -> Tensor | None:
        """Flow in cells of the feature grid; none here."""
        return None

    def transport(self, residual: Tensor, cells: Tensor | None) -> Tensor:
        """F_a where the edited image wants it; here, where it was."""
        return residual

    def render(self, generator: Synthesis, prepared: Prepared, codes: Tensor | None = None) -> Rendered:
        """Generate with codes W_e (N, L, D), or reconstruct when None, reusing the cached prefix."""
        if codes is None:
            codes, prefix = prepared.codes, prepared.prefix
        else:
            with stage("prefix"):
                prefix = self.prefix(generator, codes)
        cells = self.flow(generator, prepared, codes, prefix)
        return self.finish(generator, prepared, codes, prefix, cells)

    def finish(
        self, generator: Synthesis, prepared: Prepared, codes: Tensor, prefix: Prefix, cells: Tensor | None
    ) -> Rendered:
        """The steps after the flow, with any flow in cells (true flow, for an upper bound) or None."""
        with stage("refine"):
            features = prefix.state.x
            addition, gate = self.injector(features, self.transport(prepared.residual, cells))
            changed = features + addition if gate is None else features + gate * addition
        with stage("synthesise"):
            image = generator.advance(prefix.state.with_features(changed), codes).rgb
        assert image is not None
        return Rendered(image, addition, gate, cells)


def pad_rows(base: Tensor, side: int) -> Tensor:
    """F_0 (N, B, h, w) with zero rows above and below up to `side` rows: a car's 48 rows become 64."""
    missing = side - base.shape[2]
    return base if missing == 0 else F.pad(base, (0, 0, missing // 2, missing - missing // 2))
