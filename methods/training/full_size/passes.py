"""The two passes of an iteration, and the edit between them ("training_step" card 2, "warpres" card 4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.nets.flow.glunet import Maps
from methods.nets.flow.network import normalise
from methods.styleres.pipeline import Rendered
from methods.training.full_size.networks import Networks
from methods.training.full_size.options import Options
from methods.warpres.network import WarpRes


@dataclass(frozen=True)
class Edit:
    """A simulated edit: delta (N, L, D) = alpha (W_r - W), zero where `edited` (N,) is False."""

    delta: Tensor
    edited: Tensor

    def __getitem__(self, rows: Tensor) -> Edit:
        return Edit(self.delta[rows], self.edited[rows])


@dataclass(frozen=True)
class Pass:
    """One pass through model and generator.

    Attributes:
        codes: Of the image that was encoded (N, L, D).
        features: F_0, as encoded.
        rendered: With the generator's whole square image.
        image: (N, 3, *input_size), cropped and averaged: what all losses see.
    """

    codes: Tensor
    features: Tensor
    rendered: Rendered
    image: Tensor


class Passes:
    """What the frozen networks and the model make of images."""

    def __init__(self, networks: Networks, options: Options) -> None:
        self.networks, self.options = networks, options
        self.canvas = networks.base.canvas

    def small(self, image: Tensor) -> Tensor:
        """The generator's square image as the losses see it: a car's rows, averaged to the encoder's input size."""
        return F.adaptive_avg_pool2d(self.canvas.crop(image), self.canvas.input_size)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """W (N, L, D) with the base's latent_avg, and F_0, of images (N, 3, *input_size)."""
        codes, taps = self.networks.base.encode(images)
        return codes, taps[self.networks.model.config.base_tap]

    @torch.no_grad()
    def edit(self, codes: Tensor, z: Tensor, amount: Tensor, edited: Tensor) -> Edit:
        """The edit towards mapping(z), one w_r for all rows, truncation 1; z (N, D), amount and edited (N,)."""
        towards = self.networks.generator.mapping(z)
        return Edit((amount * edited)[:, None, None] * (towards[:, None] - codes), edited)

    def first(self, codes: Tensor, features: Tensor, edit: Edit) -> Pass:
        """x' where nothing was edited, x'_i where it was."""
        return self._render(codes, features, codes + edit.delta)

    def second(self, made: Tensor, edit: Edit) -> Pass:
        """x'': the first pass's small image encoded, and the same edit taken back (W'' = W' - delta)."""
        if self.options.cycle_grad == "detach":
            with torch.no_grad():
                codes, features = self.encode(made.detach())
        else:
            codes, features = self.encode(made)
        return self._render(codes, features, codes - edit.delta)

    def _render(self, codes: Tensor, features: Tensor, towards: Tensor) -> Pass:
        model, generator = self.networks.model, self.networks.generator
        rendered = model.render(generator, model.prepare(generator, codes, features), towards)
        return Pass(codes, features, rendered, self.small(rendered.image))

    @torch.no_grad()
    def teacher_cells(self, codes: Tensor, edit: Edit) -> Tensor:
        """The teacher's flow between the images without residuals (N, 2, r, r), in cells; zero without an edit."""
        teacher, model = self.networks.teacher, self.networks.model
        assert teacher is not None and isinstance(model, WarpRes)
        side = model.config.feature_res
        cells = codes.new_zeros(len(codes), 2, side, side)
        rows = edit.edited.nonzero().squeeze(1)
        if len(rows):
            target, source = (self.flow_image(w) for w in (codes[rows] + edit.delta[rows], codes[rows]))
            cells[rows] = model.cells(teacher(target, source).flow1)
        return cells

    def flow_image(self, codes: Tensor) -> Tensor:
        """The generator's image of codes without residuals, as the flow network takes it."""
        assert self.networks.teacher is not None
        side = self.networks.teacher.config.picture
        return normalise(F.interpolate(self.networks.generator(codes), size=(side, side), mode="area"))

    def adapter_losses(self, codes: Tensor, edit: Edit) -> dict[str, Tensor]:
        """Mean squares of what the adapters lack to VGG's features of the same (edited) image, level by level."""
        model, generator, teacher = self.networks.model, self.networks.generator, self.networks.teacher
        assert teacher is not None
        codes = codes + edit.delta
        with torch.no_grad():
            wanted = teacher.pyramid(self.flow_image(codes))
            prefix = model.prefix(generator, codes)
        found = model.flow_maps(generator, codes, prefix)
        names = ("adapter_coarse", "adapter_middle", "adapter_fine")
        return {name: F.mse_loss(mine, true) for name, mine, true in zip(names, found, wanted, strict=True)}

    @torch.no_grad()
    def settle_norms(self, codes: Tensor, edit: Edit) -> None:
        """Let the flow head's batch norms see the generator's features; the head must be in train mode."""
        model, generator = self.networks.model, self.networks.generator
        assert isinstance(model, WarpRes)
        maps = [Maps(*model.flow_maps(generator, w, model.prefix(generator, w))) for w in (codes + edit.delta, codes)]
        model.head(*maps)
