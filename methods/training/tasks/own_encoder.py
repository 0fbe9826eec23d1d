"""e4e (or pSp) for a generator of one's own, on a folder of one's own images ("e4e" card 11).

L2 and, where a network for it is named, a perceptual loss; over e4e the penalty on deltas and the discriminator of w.
It begins by regressing the known codes of generated images (`warm_up_share`), in the place of pretrained backbones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.checkpoint import file_digest, write_safetensors
from bench.core.errors import MissingError, UsageError
from bench.core.schema import from_table
from methods.nets.base import Canvas
from methods.nets.configs import to_dict
from methods.nets.pyramid import PyramidEncoder, Wiring
from methods.psp.adapter import PyramidMethod
from methods.training import losses
from methods.training.bounds import Count, CountOrNone, Share, Weight
from methods.training.codes_critic import CodesCritic
from methods.training.edit_figures import psnr
from methods.training.full_size.images import TrainingImages
from methods.training.grids import grid
from methods.training.loss_networks import feature_loss
from methods.training.own.networks import Perceptual, check_used, given_generator, perceptual_network
from methods.training.own.sizes import BackboneName, encoder_config, input_size
from methods.training.recipe import Recipe
from methods.training.task import Context, Task
from methods.training.world import prefixed


@dataclass(frozen=True)
class Weights:
    """Weights of the losses; 0 leaves a term out."""

    l2: Weight = 1.0
    perceptual: Weight = 0.0
    deltas: Weight = 2e-4
    w_adversarial: Weight = 0.01


@dataclass(frozen=True)
class Options:
    """Options of the task.

    Attributes:
        generator: A file with the generator, in any layout that the bench knows.
        wiring: "deltas" (e4e) or "rows" (pSp).
        backbone: "irse50", the published encoder's, or the world's "small" one.
        perceptual_network: "vgg16" (fetched by `run_bench.py weights fetch vgg16-keras`) or "none".
        warm_up_share: Share of the steps that regress known codes of generated images.
        held_out: Images kept from training for the checks, at most a tenth of all.
        workers: Threads that decode images.
        weights: Of the losses.
    """

    generator: str = ""
    wiring: Wiring = "deltas"
    backbone: BackboneName = "irse50"
    perceptual_network: Perceptual = "none"
    warm_up_share: Share = 0.2
    held_out: CountOrNone = 64
    workers: Count = 2
    weights: Weights = field(default_factory=Weights)

    def __post_init__(self) -> None:
        if self.weights.perceptual and self.perceptual_network == "none":
            raise UsageError("weights.perceptual is not 0, but there is no perceptual_network", "name one, or set 0")
        check_used(self.perceptual_network, self.weights.perceptual)


def build(recipe: Recipe, context: Context) -> OwnEncoderTask:
    """An e4e on a generator of one's own. Raises UsageError for an unknown option, MissingError without images."""
    return OwnEncoderTask(recipe, from_table(Options, recipe.options, recipe.name), context)


class OwnEncoderTask(Task):
    """Trains a `PyramidEncoder`; the generator is frozen."""

    def __init__(self, recipe: Recipe, options: Options, context: Context) -> None:
        if context.data is None:
            raise MissingError("no training images", f"python -m methods.training {recipe.name} --data FOLDER_OR_ZIP")
        self.recipe, self.options, self.context, self.device = recipe, options, context, context.device
        self.generator, self.average = given_generator(options.generator, self.device, recipe.name)
        self.encoder = PyramidEncoder(encoder_config(self.generator.config, options.backbone, options.wiring))
        self.encoder.to(self.device)
        self.perceptual = perceptual_network(options.perceptual_network, self.device)
        side = input_size(self.generator.config)
        self.images = TrainingImages(
            context.data, (side, side), recipe.batch, recipe.seed, held_out=options.held_out, workers=options.workers
        )
        self.given = {"images": self.images.digest, "generator": file_digest(Path(options.generator))}
        self.canvas = Canvas.of("faces", self.generator.config.size)
        self.modules: dict[str, nn.Module] = {"encoder": self.encoder}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "encoder": torch.optim.Adam(self.encoder.parameters(), lr=recipe.rate, betas=recipe.betas)
        }
        self.critic = CodesCritic(self) if options.weights.w_adversarial else None

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        """Regress known codes during the warm-up, then invert real images, half of them mirrored."""
        self.encoder.train()
        processes = self.context.processes
        z = processes.part(torch.randn(self.recipe.batch, self.average.numel(), generator=random))
        mirrored = processes.part(torch.rand(self.recipe.batch, generator=random) < 0.5)
        w = self.generator.mapping(z.to(self.device))
        if step < self.options.warm_up_share * self.recipe.steps:
            codes, parts = self._regress(w)
        else:
            codes, parts = self._invert(self._real(step, mirrored))
        self.optimisers["encoder"].zero_grad(set_to_none=True)
        losses.total(parts).backward()
        processes.average(self.encoder)
        self.optimisers["encoder"].step()
        shown = {name: value.detach() for name, value in parts.items()}
        if self.critic is not None:
            shown["w_discriminator"] = self.critic.step(w, codes.detach())
        return shown

    def _real(self, step: int, mirrored: Tensor) -> Tensor:
        pixels = self.images.step(step, self.context.processes).to(self.device)
        pixels = torch.where(mirrored[:, None, None, None].to(self.device), pixels.flip(3), pixels)
        return pixels.float() / 127.5 - 1

    def _small(self, image: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(image, self.canvas.input_size)

    def _regress(self, w: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        wanted = self.generator.broadcast(w)
        with torch.no_grad():
            images = self._small(self.generator(wanted))
        codes = self.encoder(images).float() + self.average
        return codes, {"regression": (codes - wanted).abs().mean()}

    def _invert(self, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        raw, weights = self.encoder(real).float(), self.options.weights
        codes = raw + self.average
        made = self._small(self.generator(codes).float())
        parts = {"l2": weights.l2 * losses.pixel_loss(made, real).mean()}
        if weights.perceptual:
            with torch.no_grad():
                wanted = self.perceptual(real)
            parts["perceptual"] = weights.perceptual * feature_loss(self.perceptual(made), wanted).mean()
        if self.options.wiring == "deltas" and weights.deltas:
            parts["deltas"] = weights.deltas * (raw[:, 1:] - raw[:, :1]).square().sum(2).mean()
        if self.critic is not None:
            parts["w_adversarial"] = weights.w_adversarial * self.critic.fooled(codes)
        return codes, parts

    def method(self) -> PyramidMethod:
        """The method as the bench runs it, on the present weights."""
        name = "e4e" if self.options.wiring == "deltas" else "psp"
        return PyramidMethod(name, self.canvas, self.encoder, self.generator, self.average).eval()

    @torch.no_grad()
    def _reconstructed(self, count: int) -> tuple[Tensor, Tensor]:
        """Held-out images and their reconstructions at the encoder's size, (n, 3, h, w) each."""
        real = self.images.kept(0, count).to(self.device).float() / 127.5 - 1
        method = self.method()
        parts = [self._small(method.edit(method.invert(part))) for part in real.split(8)]
        return real, torch.cat(parts)

    def check(self) -> Mapping[str, float]:
        """Mean PSNR (dB) of held-out images, and that of the generator's average image beside it."""
        if not self.images.held_out:
            return {}
        real, made = self._reconstructed(len(self.images.held_out))
        with torch.no_grad():
            average = self._small(self.generator(self.generator.broadcast(self.average[None])))
        return {
            "psnr": round(float(psnr(made, real).mean()), 4),
            "psnr_of_average": round(float(psnr(average.expand_as(real), real).mean()), 4),
        }

    def samples(self) -> Mapping[str, Tensor]:
        """Held-out images, and their reconstructions below them."""
        return {"reconstruction": grid(*self._reconstructed(8))} if self.images.held_out else {}

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Encoder and generator in one file: all that the method needs."""
        tensors = prefixed({"encoder.": self.encoder, "decoder.": self.generator})
        metadata = {
            "method": self.method().name,
            "domain": "faces",  # square images, whatever is on them
            "config": {"encoder": to_dict(self.encoder.config), "generator": to_dict(self.generator.config)},
            "made": dict(provenance),
            "held_out": dict(self.check()),
        }
        write_safetensors(path, {**tensors, "latent_avg": self.average}, metadata)
