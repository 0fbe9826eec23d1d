"""StyleRes and WarpRes on real images at full size: faces at 1024 px, cars at 512 px ("warpres" card 4).

One iteration, in the order of the group's code: D's step on the first pass's images, then the model's with both
passes. What the "training_step" card lists as traps is the default here: means over the selected samples, E_0 in eval
mode, images unclamped, epsilon in TensorFlow's place, no clipping. The world's recipes differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.schema import from_table
from methods.training import losses
from methods.training.bounds import check_groups, check_warm_up
from methods.training.full_size import judging
from methods.training.full_size.images import TrainingImages
from methods.training.full_size.networks import Networks, find_files, load_networks
from methods.training.full_size.options import Options
from methods.training.full_size.passes import Edit, Pass, Passes
from methods.training.full_size.result import write_result
from methods.training.full_size.terms import Reference, Terms
from methods.training.optimisers import TensorFlowAdam
from methods.training.recipe import Recipe
from methods.training.task import Context, Task
from methods.warpres.network import WarpRes

_NORMED_FROM = 8  # images a process, from which batch statistics are worth training on ("warpres" card 4)


def build(recipe: Recipe, context: Context) -> FullSizeTask:
    """The task with everything loaded. Raises one MissingError that lists all files and images that are not here."""
    options = from_table(Options, recipe.options, recipe.name)
    check_groups(context.processes.size_of_part(recipe.batch))
    check_warm_up("adapter_warm_up", options.warm_up_steps, recipe.steps)
    files = find_files(options, context.data, f"python -m methods.training {recipe.name}")
    assert context.data is not None
    networks = load_networks(options, files, context.device)
    return FullSizeTask(recipe, options, context, networks, context.data)


class FullSizeTask(Task):
    """Trains a `StyleRes` or `WarpRes` and, along with it, the discriminator."""

    def __init__(self, recipe: Recipe, options: Options, context: Context, networks: Networks, data: Path) -> None:
        self.recipe, self.options, self.context, self.networks = recipe, options, context, networks
        self.passes = Passes(networks, options)
        self.images = TrainingImages(
            data,
            self.passes.canvas.output_size if options.d_res == "native" else self.passes.canvas.input_size,
            recipe.batch,
            recipe.seed,
            held_out=options.held_out,
            workers=options.workers,
        )
        self.given = {"images": self.images.digest}
        self.model, self.discriminator = networks.model, networks.discriminator
        self.modules: dict[str, nn.Module] = {"model": self.model, "discriminator": self.discriminator}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "model": self._adam([p for p in self.model.parameters() if p.requires_grad]),
            "discriminator": self._adam(list(self.discriminator.parameters())),
        }
        if options.warm_up_steps:
            assert isinstance(self.model, WarpRes) and self.model.adapters is not None
            group = {"params": list(self.model.adapters.parameters()), "rate_factor": options.warm_up_rate_factor}
            self.optimisers["adapters"] = self._adam([group])

    def _adam(self, parameters: Sequence[Any]) -> torch.optim.Optimizer:
        kind: Any = TensorFlowAdam if self.options.tf_epsilon else torch.optim.Adam
        return kind(parameters, lr=self.recipe.rate, betas=self.recipe.betas)

    # --- one step

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        """One iteration; in the warm-up the flow's adapters alone learn."""
        self._set_modes(step)
        real = self._real(step, random)
        with torch.no_grad():
            small = self._small(real)
            codes, features = self.passes.encode(small)
        edit = self._edit(codes, random)
        if step < self.options.warm_up_steps:
            return self._warm_up(step, codes, edit)
        return self.iterate(step, real, codes, features, edit)

    def iterate(self, step: int, real: Tensor, codes: Tensor, features: Tensor, edit: Edit) -> dict[str, Tensor]:
        """One iteration on real images (N, 3, h, w), their codes and F_0, and an edit of each."""
        reference = Reference(self.networks.losses, self._small(real), self.context.processes)
        first = self.passes.first(codes, features, edit)
        shown: dict[str, Tensor] = {}
        if self.options.discriminator_first:
            shown |= self.step_discriminator(step, real, first)
        self.optimisers["model"].zero_grad(set_to_none=True)
        on_first, values = self.first_roots(first, reference, edit)
        if self.options.cycle_grad == "detach":
            backward(on_first)  # and its activations are free before the second pass begins
            on_first = []
        on_second, again = self.second_roots(first, reference, edit)
        backward([*on_first, *on_second])
        self._update()
        if not self.options.discriminator_first:
            shown |= self.step_discriminator(step, real, first)
        return values | again | shown

    def first_roots(self, first: Pass, reference: Reference, edit: Edit) -> tuple[Roots, dict[str, Tensor]]:
        """What the first pass is differentiated from: its images with their terms' gradient, L_F and L_flow."""
        weights = self.options.weights
        rows = (~edit.edited).nonzero().squeeze(1)
        chosen = first.image[rows]
        terms = reference.terms(chosen, rows, weights)
        roots: Roots = [(chosen, terms.gradient)]
        values = terms.values | _norms(terms)
        if weights.adversarial:
            seen = self._judged(first)
            adversarial = self._adversarial(seen)
            roots.append((seen, adversarial.gradient))
            values |= adversarial.values | _norms(adversarial)
        if weights.regulariser:
            term = weights.regulariser * losses.regulariser(first.rendered.addition).mean()
            roots.append((term, None))
            values["regulariser"] = term.detach()
        if weights.flow:
            assert first.rendered.cells is not None
            target = self.passes.teacher_cells(first.codes, edit)
            term = weights.flow * losses.flow_loss(first.rendered.cells, target).mean()
            roots.append((term, None))
            values["flow"] = term.detach()
        return roots, values

    def second_roots(self, first: Pass, reference: Reference, edit: Edit) -> tuple[Roots, dict[str, Tensor]]:
        """The same of the second pass, which runs on all samples or on the edited ones."""
        cycle, made = self.options.cycle, first.image
        rows = torch.arange(len(made), device=made.device)
        if self.options.cycle_on == "edited":
            rows = edit.edited.nonzero().squeeze(1)
        if not (cycle.l2 or cycle.perceptual or cycle.identity):
            return [], {}
        again = self.passes.second(made[rows], edit[rows]).image if len(rows) else made[rows]
        terms = reference.terms(again, rows, cycle, "cycle_")
        return [(again, terms.gradient)], terms.values | _norms(terms)

    def step_discriminator(self, step: int, real: Tensor, first: Pass) -> dict[str, Tensor]:
        """One fake per real; the fake is the first pass's image, which saves the group's own forward for it."""
        options = self.options
        penalised = options.r1_gamma > 0 and step % options.r1_every == 0
        real = self._squared(real if options.d_res == "native" else self._small(real)).detach()
        scores = self._scores(real.requires_grad_(penalised))
        loss = losses.discriminator_loss(scores, self._scores(self._judged(first).detach()))
        shown = {"discriminator": loss.detach()}
        if penalised:
            (slope,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
            penalty = options.r1_every * options.r1_gamma / 2 * slope.square().flatten(1).sum(1).mean()
            shown["r1"] = penalty.detach()
            loss = loss + penalty
        self.optimisers["discriminator"].zero_grad(set_to_none=True)
        loss.backward()
        self.context.processes.average(self.discriminator)
        self.optimisers["discriminator"].step()
        return shown

    def _adversarial(self, seen: Tensor) -> Terms:
        terms = Terms.on(seen)
        self.discriminator.requires_grad_(False)
        value = losses.generator_adversarial(self._scores(terms.image)).mean()
        terms.add("adversarial", self.options.weights.adversarial * value)
        self.discriminator.requires_grad_(True)
        return terms

    def _scores(self, images: Tensor) -> Tensor:
        kind = getattr(torch, self.options.d_precision)
        rough = nullcontext() if kind == torch.float32 else torch.autocast(self.context.device.type, kind)
        with rough:
            return self.discriminator(images).float()

    def _judged(self, made: Pass) -> Tensor:
        """The pass's image as D sees it."""
        if self.options.d_res == "native":
            return self._squared(self.passes.canvas.crop(made.rendered.image))
        return self._squared(made.image)

    def _squared(self, images: Tensor) -> Tensor:
        """A car with black bars above and below, real ones and made ones alike, so that the bars tell nothing."""
        missing = images.shape[3] - images.shape[2]
        return F.pad(images, (0, 0, missing // 2, missing - missing // 2), value=-1.0) if missing else images

    def _update(self) -> None:
        self.context.processes.average(self.model)
        if self.options.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip)
        self.optimisers["model"].step()

    # --- warm-up, modes, batches

    def _warm_up(self, step: int, codes: Tensor, edit: Edit) -> dict[str, Tensor]:
        """The adapters alone learn VGG's features: a released flow head makes nothing of random ones."""
        terms = self.passes.adapter_losses(codes, edit)
        self.optimisers["adapters"].zero_grad(set_to_none=True)
        losses.total(terms).backward()
        self.context.processes.average(self.model)
        self.optimisers["adapters"].step()
        if self._settling(step):
            self.passes.settle_norms(codes, edit)
        return {name: value.detach() for name, value in terms.items()}

    def _settling(self, step: int) -> bool:
        """Whether frozen batch norms take statistics in this step."""
        left = self.options.warm_up_steps - step
        return self._norms_frozen and 0 < left <= self.options.flow_norm_steps

    @property
    def _norms_frozen(self) -> bool:
        if self.options.flow_norm == "auto":
            return self.context.processes.size_of_part(self.recipe.batch) < _NORMED_FROM
        return self.options.flow_norm == "frozen"

    def _set_modes(self, step: int) -> None:
        self.model.train()
        if isinstance(self.model, WarpRes):
            released = self.model.pyramid is not None
            self.model.head.train(not released and (not self._norms_frozen or self._settling(step)))

    def _real(self, step: int, random: torch.Generator) -> Tensor:
        """This process's real images of a step, some of them mirrored, float in [-1, 1] on the device."""
        processes = self.context.processes
        pixels = self.images.step(step, processes).to(self.context.device)
        mirrored = processes.part(torch.rand(self.recipe.batch, generator=random) < 0.5)
        if self.options.mirror:
            pixels = torch.where(mirrored[:, None, None, None].to(pixels.device), pixels.flip(3), pixels)
        return pixels.float() / 127.5 - 1

    def _small(self, real: Tensor) -> Tensor:
        size = self.passes.canvas.input_size
        return real if tuple(real.shape[2:]) == size else F.adaptive_avg_pool2d(real, size)

    def _edit(self, codes: Tensor, random: torch.Generator) -> Edit:
        options, processes, batch = self.options, self.context.processes, self.recipe.batch
        z = torch.randn(batch, codes.shape[2], generator=random)
        low, high = options.alpha
        amount = low + (high - low) * torch.rand(batch, generator=random)
        chance = torch.rand(batch, generator=random)
        edited = (chance if options.path_choice == "sample" else chance[:1].expand(batch)) < options.edit_share
        z, amount, edited = (processes.part(values).to(codes.device) for values in (z, amount, edited))
        return self.passes.edit(codes, z, amount, edited)

    # --- held-out figures and the result

    def _passes_in_eval(self) -> Passes:
        self.model.eval()
        return self.passes

    def check(self) -> Mapping[str, float]:
        """Figures on the held-out images (`judging.figures`)."""
        # No more images at once than a step has here.
        part = self.context.processes.size_of_part(self.recipe.batch)
        return judging.figures(self._passes_in_eval(), self.images, self.context.device, part)

    def samples(self) -> Mapping[str, Tensor]:
        """Grids of held-out images (`judging.samples`)."""
        return judging.samples(self._passes_in_eval(), self.images, self.context.device)

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """The trained parts; released files are named, not copied."""
        write_result(path, self.model, self.networks, self.options, provenance, self.check())


# Tensors to differentiate from, each with its gradient (None for a scalar).
Roots = list[tuple[Tensor, Tensor | None]]


def backward(roots: Roots) -> None:
    """Add to the gradients of all parameters behind the roots; roots without a graph (no sample selected) are left."""
    roots = [(tensor, gradient) for tensor, gradient in roots if tensor.requires_grad and tensor.numel()]
    if roots:
        torch.autograd.backward([tensor for tensor, _ in roots], [gradient for _, gradient in roots])


def _norms(terms: Terms) -> dict[str, Tensor]:
    return {f"gradient/{name}": value for name, value in terms.norms.items()}
