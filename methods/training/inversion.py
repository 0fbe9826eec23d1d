"""What the trainings of all baselines share: a frozen generator, critics, people, and the losses of a reconstruction.

The losses are those of the pSp family: L2, a perceptual loss and an identity loss on the generated image, with the
world's critics in the place of LPIPS and ArcFace ("psp" card 9, training_family card). Adam runs where the authors used
Ranger. The world's generator was trained without noise, so that their random noise has nothing to change.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from bench.core.contract import Inversion, Method, stage
from methods.nets.base import Canvas, LatentMethod
from methods.nets.pyramid import PyramidEncoder
from methods.psp.adapter import PyramidMethod
from methods.training import losses
from methods.training.bases import BaseName, load_base_encoder
from methods.training.bounds import Weight
from methods.training.edit_figures import CHUNK, EditFigures, invert_by, psnr
from methods.training.frozen import FastCritics, FastGenerator, quicken
from methods.training.people import People
from methods.training.recipe import Recipe
from methods.training.sample_grids import edit_grid
from methods.training.task import Context, Task
from methods.training.world import load_generator, load_loss_critics

CANVAS = Canvas.of("faces", 64)


@dataclass(frozen=True)
class Weights:
    """Weights of the losses; a loss of weight 0 is left out.

    Attributes:
        l2, perceptual, identity: Of the generated image against the input.
    """

    l2: Weight = 1.0
    perceptual: Weight = 0.2
    identity: Weight = 0.1


class InversionTask(Task, ABC):
    """Base of the baselines' tasks.

    Attributes:
        plain: The generator as it is, frozen; `generator` is its fast copy.
        average: Its mean w (D,).
    """

    def __init__(self, recipe: Recipe, context: Context, weights: Weights) -> None:
        self.recipe, self.context, self.weights = recipe, context, weights
        self.device = context.device
        self.dtype = torch.bfloat16 if recipe.bfloat16 else torch.float32
        self.plain, self.average = load_generator(context.runs, self.device)
        self.generator = FastGenerator(self.plain, self.dtype)
        self.critics = FastCritics(load_loss_critics(context.runs, self.device), self.dtype)
        self.people = People("train", self.device, context.runs)
        self.modules: dict[str, nn.Module] = {}
        self.optimisers: dict[str, torch.optim.Optimizer] = {}

    def train_together(self, **modules: nn.Module) -> None:
        """Make modules the trained ones, on the device, under one optimiser "model"."""
        for module in modules.values():
            quicken(module).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.modules |= modules
        self.optimisers["model"] = torch.optim.Adam(
            [p for module in modules.values() for p in module.parameters() if p.requires_grad],
            lr=self.recipe.rate,
            betas=self.recipe.betas,
        )

    def draw(self, count: int, random: torch.Generator) -> Tensor:
        """This process's part of `count` random training images, float32 (n, 3, 64, 64) in [-1, 1]."""
        images = self.people.draw(count, random, self.context.processes)
        return images.contiguous(memory_format=torch.channels_last)

    def draw_w(self, count: int, random: torch.Generator) -> Tensor:
        """This process's part of `count` w of the generator's own, float32 (n, D), without a gradient."""
        z = self.context.processes.part(torch.randn(count, self.average.numel(), generator=random))
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            return self.plain.mapping(z.to(self.device))

    def generate(self, codes: Tensor) -> Tensor:
        """Images float32 (N, 3, 64, 64) of codes (N, L, D), through the fast copy."""
        with torch.autocast(self.device.type, enabled=False):
            return self.generator(codes.float())

    def reconstruction(self, made: Tensor, real: Tensor) -> dict[str, Tensor]:
        """The weighted losses of made images against real ones (N, 3, 64, 64), a scalar each."""
        weights, parts = self.weights, dict[str, Tensor]()
        with torch.autocast(self.device.type, enabled=False):
            if weights.l2:
                parts["l2"] = weights.l2 * losses.pixel_loss(made, real).mean()
            if weights.perceptual:
                with torch.no_grad():
                    wanted = self.critics.features(real)
                found = losses.perceptual_loss(self.critics.features(made), wanted)
                parts["perceptual"] = weights.perceptual * found.mean()
            if weights.identity:
                with torch.no_grad():
                    person = self.critics.embed(real)
                parts["identity"] = weights.identity * losses.identity_loss(self.critics.embed(made), person).mean()
        return parts

    def learn(self, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One step down the sum of some losses, a scalar each; gives them back detached."""
        self.optimisers["model"].zero_grad(set_to_none=True)
        losses.total(parts).backward()
        self.update()
        return {name: value.detach() for name, value in parts.items()}

    def update(self) -> None:
        """Average the gradients of all trained modules over the processes and step their optimiser."""
        self.context.processes.average(*self.modules.values())
        self.optimisers["model"].step()

    @abstractmethod
    def method(self) -> Method:
        """The method as the bench runs it, on the present weights."""

    def predecessor(self) -> Method | None:
        """The method that this one should reconstruct better than."""
        return None

    @cached_property
    def figures(self) -> EditFigures:
        """Validation people with their true edits."""
        return EditFigures(self.device)

    def check(self) -> Mapping[str, float]:
        """Held-out people (val): see `EditFigures.measure`; the predecessor's PSNR beside ours as `psnr_before`."""
        found = self.figures.measure(invert_by(self._ready()))
        before = self.predecessor()
        if before is not None:
            found["psnr_before"] = round(float(psnr(self._reconstructed(before), self.figures.images).mean()), 5)
        return found

    @torch.no_grad()
    def _reconstructed(self, method: Method) -> Tensor:
        return torch.cat([invert_by(method)(part)(None) for part in self.figures.images.split(CHUNK)])

    def samples(self) -> Mapping[str, Tensor]:
        """Grids of validation people: input, reconstruction, and edits beside their truth."""
        return {"edits": edit_grid(self.figures, invert_by(self._ready()), None)}

    def _ready(self) -> Method:
        method = self.method()
        if isinstance(method, nn.Module):
            method.eval()
        return method


class EncoderMethod(LatentMethod):
    """An encoder alone on the task's generator: what a method is compared with that builds on it.

    Args:
        encode: Images (N, 3, 64, 64) -> codes without the mean w, (N, L, D), or (N, 1, D) for all rows.
    """

    def __init__(self, name: str, task: InversionTask, encode: Callable[[Tensor], Tensor]) -> None:
        super().__init__(name, CANVAS, task.plain, task.average)
        self.encode = encode

    def invert(self, images: Tensor) -> Inversion:
        """Invert float32 (N, 3, 64, 64) in [-1, 1] to codes (N, L or 1, D) with the mean w."""
        self.canvas.check(images)
        with stage("encode"):
            return Inversion(self.encode(images) + self.latent_avg)


def load_pyramid(task: InversionTask, name: BaseName) -> PyramidMethod:
    """A trained one-step encoder ("e4e", "psp") on the task's generator, frozen."""
    encoder = load_base_encoder(name, task.context.runs, task.device)
    assert isinstance(encoder, PyramidEncoder)
    return PyramidMethod(name, CANVAS, encoder, task.plain, task.average).eval()


@torch.no_grad()
def start_from(network: nn.Module, trained: nn.Module) -> int:
    """Copy a trained backbone into a network's own, tensor by tensor where name and shape agree; how many did.

    It stands for the face-recognition weights that the authors' encoders start from. A first convolution of 6 channels
    takes the 3 it knows.
    """
    known, count = trained.state_dict(), 0
    for name, value in network.state_dict().items():
        if name not in known or not name.startswith(("input_layer.", "body.")):
            continue
        if known[name].shape == value.shape:
            value.copy_(known[name])
            count += 1
        elif name == "input_layer.0.weight":
            value[:, : known[name].shape[1]].copy_(known[name])
    return count
