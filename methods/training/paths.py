"""The two training paths of StyleRes and WarpRes: a simulated edit, and the cycle back ("warpres" card 4, paper Eq. 2).

Generator, base encoder and critics are frozen fast copies; E_1 and E_2 run on working copies, the flow in float32.

**Order of samples.** Of a batch of n the *first* e are edited. The generator runs once on n + e codes: those of the
batch, then the edited ones. Rows 0 .. n are the unedited *sources*, the last n rows the *targets*: the n - e samples
without an edit, then the e edited ones. What belongs to targets (images made, flows) has this order, which
`as_targets` gives to anything in the batch's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.nets.flow.glunet import Maps
from methods.nets.flow.network import normalise
from methods.nets.stylegan2 import State
from methods.styleres.pipeline import Rendered, StyleRes
from methods.training.frozen import FastEncoder, FastGenerator, WorkingCopy, images_last
from methods.training.frozen.generator import Styles
from methods.warpres.network import WarpRes


@dataclass(frozen=True)
class Base:
    """The frozen base: E_0 with its mean w, and the generator."""

    encoder: FastEncoder
    generator: FastGenerator


class Stand(NamedTuple):
    """The generator at the tap.

    Attributes:
        styles: Of the codes, for the rest of the way.
        state: `state.x` is F_g or F_e (N, C, r, r).
        maps: What the flow compares, coarse to fine, as the adapters leave them (float32); empty without adapters.
    """

    styles: Styles
    state: State
    maps: tuple[Tensor, ...]

    def rows(self, rows: slice) -> Stand:
        """Some of the samples."""
        x, rgb, layer = self.state.x, self.state.rgb, self.state.layer
        state = State(x[rows], None if rgb is None else rgb[rows], layer)
        return Stand(self.styles[rows], state, tuple(map_[rows] for map_ in self.maps))


def as_targets(values: Tensor, edited: int) -> Tensor:
    """A batch's values (N, ...), of which the first `edited` are edited, in the order of the targets."""
    return torch.cat((values[edited:], values[:edited])) if 0 < edited < len(values) else values


def edited_codes(codes: Tensor, delta: Tensor) -> Tensor:
    """Codes (N, L, D) of a batch, followed by its first E ones changed by `delta` (E, L, D)."""
    return torch.cat((codes, codes[: len(delta)] + delta)) if len(delta) else codes


def simulated_edit(base: Base, codes: Tensor, noise: Tensor, amount: Tensor) -> Tensor:
    """delta (E, L, D) = alpha (W_r - W) of codes (E, L, D): one w_r for all rows, truncation 1 (paper Eq. 2).

    Args:
        noise: z (E, D) of w_r.
        amount: alpha (E,).
    """
    towards = base.generator.mapping(noise)
    return amount[:, None, None] * (towards[:, None] - codes)


class Passes:
    """Runs a StyleRes or WarpRes on fast copies of all that is in it and around it.

    `pull` before a step, `push` after `backward`: the model's own parameters are float32 and get the gradients.
    """

    def __init__(self, model: StyleRes, base: Base) -> None:
        self.model, self.base, self.dtype = model, base, base.generator.dtype
        self.extractor, self.injector = (WorkingCopy(net, self.dtype) for net in (model.extractor, model.injector))

    def pull(self) -> None:
        """Bring the copies of E_1 and E_2 to the model's present weights."""
        self.extractor.pull()
        self.injector.pull()

    def push(self) -> None:
        """Give the model's E_1 and E_2 their gradients."""
        self.extractor.push()
        self.injector.push()

    def stand(self, codes: Tensor, *, through: bool = False) -> Stand:
        """Run the generator on codes (N, L, D) up to the tap, and the flow's adapters on its maps.

        `through`: let gradients through to the codes.
        """
        with torch.set_grad_enabled(through and torch.is_grad_enabled()):
            styles = self.base.generator.styles(codes)
            state, maps = None, []
            for layer in (*self.model.map_layers, self.model.config.tap_layer):
                state = self.base.generator.advance(state, styles, layer + 1)
                maps.append(state.x)
            assert state is not None
        return Stand(styles, state, self._adapted(maps))

    def _adapted(self, maps: list[Tensor]) -> tuple[Tensor, ...]:
        if not isinstance(self.model, WarpRes) or self.model.adapters is None:
            return ()
        # Flow and adapters stay in float32: in bfloat16 the flow of a smile loses a tenth of its length.
        adapted = (adapter(map_.float()) for adapter, map_ in zip(self.model.adapters, maps, strict=False))
        return tuple(F.relu(map_) if self.model.flow_config.adapter_relu else map_ for map_ in adapted)

    def plain(self, stand: Stand) -> Tensor:
        """The base generator's images behind a stand, without residuals: float32, unbounded."""
        image = self.base.generator.advance(stand.state, stand.styles).rgb
        assert image is not None
        return image

    def cells(self, stand: Stand, edited: int) -> Tensor | None:
        """Flow from the targets to their sources in cells of the feature grid (N, 2, r, r); None in StyleRes.

        Args:
            stand: Of N + `edited` codes (see `edited_codes`).
        """
        if not isinstance(self.model, WarpRes):
            return None
        maps = self._image_maps(stand) if self.model.adapters is None else stand.maps
        count = len(stand.state.x) - edited
        target = Maps(*(map_[edited:] for map_ in maps))
        source = Maps(*(as_targets(map_[:count], edited) for map_ in maps))
        return self.model.cells(self.model.head(target, source).flow1)

    @torch.no_grad()
    def _image_maps(self, stand: Stand) -> tuple[Tensor, ...]:
        """Of the ablation "Pretrained flow": the pyramid of a frozen network on plain images."""
        assert isinstance(self.model, WarpRes) and self.model.pyramid is not None
        return tuple(self.model.pyramid(normalise(self.plain(stand))))

    def finish(self, stand: Stand, base: Tensor, edited: int, cells: Tensor | None) -> Rendered:
        """Images of the targets, from the stand of N + `edited` codes and F_0 (N, B, h, w) in the copies' dtype."""
        count = len(base)
        residual = as_targets(self.extractor.net(base, stand.state.x[:count]), edited)
        moved = images_last(self.model.transport(residual, cells), self.dtype)
        target = stand.rows(slice(edited, None))
        addition, gate = self.injector.net(target.state.x, moved)
        features = target.state.x + (addition if gate is None else gate * addition)
        image = self.base.generator.advance(target.state.with_features(features), target.styles).rgb
        assert image is not None
        return Rendered(image, addition, gate, cells)

    def run(self, codes: Tensor, base: Tensor, delta: Tensor, *, through: bool = False) -> Rendered:
        """Images of the targets: first those without an edit, then the edited ones.

        Args:
            codes: W+ (N, L, D) with the mean.
            base: F_0 (N, B, h, w) in the copies' dtype.
            delta: Edits (E, L, D) of the first E samples.
            through: Let gradients through to the codes.
        """
        stand = self.stand(edited_codes(codes, delta), through=through)
        return self.finish(stand, base, len(delta), self.cells(stand, len(delta)))
