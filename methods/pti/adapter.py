"""Two methods without an encoder: W+ optimisation and PTI (pti card). All they need is a generator and LPIPS.

Each image is optimised by itself, with the same random numbers: results do not depend on the batch. Minutes an image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from bench.core.checkpoint import read_checkpoint, state_dict_of
from bench.core.contract import Domain, Inversion, stage
from bench.core.errors import MissingError
from bench.core.signature import recognise
from bench.world.networks import WorldNet, load_critics
from methods.generators import built, find_generator
from methods.nets.base import Canvas, LatentMethod, edited
from methods.nets.lpips import Backbone, build_lpips
from methods.nets.stylegan2 import Generator, StyleDelta
from methods.pti.project import Distance, Projection, project
from methods.pti.tune import Tuning, tune
from methods.registry import STYLE_RULES, Checkpoint, MethodEntry

# On the world's small generator far fewer and longer steps are enough: the rates are ten times the authors'.
_WORLD_STEPS = {"w-plus-optimisation": 200, "pti": 100}
_WORLD_RATES = (0.1, 3e-3)
_STEPS = {"w-plus-optimisation": 2000, "pti": 450}


@dataclass(frozen=True)
class ProjectedInversion(Inversion):
    """Codes, and what the optimisation says of each image.

    Attributes:
        steps: (N,), updates of codes and generator together.
        distance: (N,), last perceptual distance.
    """

    steps: Tensor
    distance: Tensor


@dataclass(frozen=True)
class TunedInversion(ProjectedInversion):
    """Attributes:
    tensors: The tuned generator of each image, by tensor name, (N, ...); an edit uses them again.
    """

    tensors: Mapping[str, Tensor]


class Optimisation(LatentMethod):
    """W+ optimisation: codes of every image found by gradient descent; the generator stays."""

    stages: tuple[str, ...] = ("project", "synthesise")

    def __init__(
        self, name: str, canvas: Canvas, generator: Generator, distance: Distance, average: Tensor, how: Projection
    ) -> None:
        super().__init__(name, canvas, generator, average)
        self._distance, self._how = distance, how

    def invert(self, images: Tensor) -> ProjectedInversion:
        """Invert float32 (N, 3, *input_size) in [-1, 1], one after the other."""
        self.canvas.check(images)
        return _stacked([self._one(image) for image in images.split(1)])

    def _one(self, image: Tensor) -> ProjectedInversion:
        with learning():
            generator, target = _copy(self.generator), image.clone()
            with stage("project"):
                found = project(generator, target, self.canvas.crop, self._distance, self._how)
            steps = torch.tensor([self._how.steps])
            return ProjectedInversion(found.codes, steps, torch.tensor([found.distance]))


class Pti(Optimisation):
    """Pivotal tuning: a W code, then the generator itself fitted to the image around it."""

    stages: tuple[str, ...] = ("project", "tune", "synthesise")

    def __init__(
        self,
        name: str,
        canvas: Canvas,
        generator: Generator,
        distance: Distance,
        average: Tensor,
        how: Projection,
        tuning_distance: Distance,
        tuning: Tuning,
    ) -> None:
        super().__init__(name, canvas, generator, distance, average, how)
        self._tuning_distance, self._tuning = tuning_distance, tuning

    def _one(self, image: Tensor) -> TunedInversion:
        pivot = super()._one(image)
        with learning():
            generator, target = _copy(self.generator), image.clone()
            with stage("tune"):
                tuned = tune(generator, pivot.codes, target, self.canvas.crop, self._tuning_distance, self._tuning)
        return TunedInversion(
            pivot.codes,
            pivot.steps + tuned.steps,
            torch.tensor([tuned.distance]),
            {name: value[None] for name, value in tuned.tensors.items()},
        )

    def edit(self, inversion: Inversion, delta: Tensor | None = None, style_delta: StyleDelta | None = None) -> Tensor:
        """Images (N, 3, H, W), each by its own tuned generator."""
        assert isinstance(inversion, TunedInversion)
        codes = edited(inversion.codes, delta)
        pictures = []
        with stage("synthesise"):
            for row in range(len(codes)):
                tensors = {name: value[row] for name, value in inversion.tensors.items()}
                own = {layer: _row(offset, row) for layer, offset in (style_delta or {}).items()}
                call = {"style_delta": own or None}
                pictures.append(functional_call(self.generator, tensors, (codes[row : row + 1],), call))
        return self.canvas.crop(torch.cat(pictures))


def _row(offset: Tensor, row: int) -> Tensor:
    return offset if offset.ndim == 1 else offset[row : row + 1]


@contextmanager
def learning() -> Iterator[None]:
    """Gradients, whatever mode the caller runs in."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def _copy(generator: Generator) -> Generator:
    """A copy that gradients may go through; tensors made in inference mode may not be."""
    with torch.device("meta"):
        copy = Generator(generator.config)
    tensors = {name: value.detach().clone() for name, value in generator.state_dict().items()}
    copy.load_state_dict(tensors, assign=True)
    copy.requires_grad_(True)
    copy.style.requires_grad_(False)
    return copy


def _stacked(parts: Sequence[ProjectedInversion]) -> ProjectedInversion:
    first = parts[0]
    together = replace(
        first,
        codes=torch.cat([part.codes for part in parts]),
        steps=torch.cat([part.steps for part in parts]),
        distance=torch.cat([part.distance for part in parts]),
    )
    if not isinstance(together, TunedInversion):
        return together
    tuned = [part for part in parts if isinstance(part, TunedInversion)]
    return replace(together, tensors={name: torch.cat([p.tensors[name] for p in tuned]) for name in together.tensors})


def build(entry: MethodEntry, domain: Domain, checkpoints: Sequence[Checkpoint]) -> Optimisation:
    """From a file with a generator, and LPIPS's backbones (or the world's critics), in any order."""
    generator, average, rest = _generator(checkpoints, entry.name)
    distance, tuning_distance = _distances(rest, entry.name)
    canvas = Canvas.of(domain, generator.config.size, generator.config.size)
    ours = any(file.metadata for file in checkpoints)
    steps = entry.steps or (_WORLD_STEPS if ours else _STEPS)[entry.name]
    rate, tuning_rate = _WORLD_RATES if ours else (Projection.rate, Tuning.rate)
    if entry.name == "pti":
        tuning = Tuning(steps=round(steps * Tuning.steps / Projection.steps), rate=tuning_rate)
        how = Projection(steps=steps, rate=rate)
        return Pti(entry.name, canvas, generator, distance, average, how, tuning_distance, tuning)
    apart = Projection(space="w+", steps=steps, rate=rate, samples=10_000)
    return Optimisation(entry.name, canvas, generator, distance, average, apart)


def _generator(checkpoints: Sequence[Checkpoint], method: str) -> tuple[Generator, Tensor, list[Checkpoint]]:
    for file in checkpoints:
        found = find_generator(file.content, file.path)
        if found is not None:
            generator = built(found, file.path)
            average = generator.mean_latent(10_000) if found.average is None else found.average
            return generator, average, [other for other in checkpoints if other is not file]
    seen = ", ".join(f"{file.path} looks like {recognise(file.content)}" for file in checkpoints)
    raise MissingError(f"{method} needs a StyleGAN2 generator; {seen}", "give stylegan2-ffhq-config-f.pt")


def _distances(files: Sequence[Checkpoint], method: str) -> tuple[Distance, Distance]:
    """Of the projection (VGG16) and of the tuning (AlexNet); twice the same on the world and where nothing is tuned."""
    for file in files:
        if any(name.startswith("describer.") for name in state_dict_of(file.content)):
            describer, _ = load_critics(file.path)
            return (_world_distance(describer),) * 2
    projecting: Backbone = "vgg"
    tuning: Backbone = "alex" if method == "pti" else "vgg"
    found = {_backbone_of(file): file for file in files}
    if missing := [net for net in (projecting, tuning) if net not in found]:
        what = {"vgg": "VGG16 (vgg16-imagenet)", "alex": "AlexNet (alexnet-imagenet)"}[missing[0]]
        raise MissingError(f"{method} needs torchvision's {what} for its perceptual distance", "weights fetch")
    made = {net: _lpips_distance(net, found[net]) for net in {projecting, tuning}}
    return made[projecting], made[tuning]


def _backbone_of(file: Checkpoint) -> Backbone | None:
    names = state_dict_of(file.content)
    return "vgg" if "features.28.weight" in names else "alex" if "features.10.weight" in names else None


def _lpips_distance(net: Backbone, file: Checkpoint) -> Distance:
    import lpips

    linear = read_checkpoint(Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth")
    network = build_lpips(net, state_dict_of(file.content), state_dict_of(linear), str(file.path))
    return _distance_of(network, network.maps, network.compare)


def _world_distance(describer: WorldNet) -> Distance:
    """The world's stand-in for LPIPS: squared differences of the critics' unit features, never of a judge's."""

    def maps(images: Tensor) -> list[Tensor]:
        return [F.normalize(map_, dim=1) for map_ in describer.maps(images)]

    def compare(first: list[Tensor], second: list[Tensor]) -> Tensor:
        parts = [(a - b).square().sum(1).mean((1, 2)) for a, b in zip(first, second, strict=True)]
        return torch.stack(parts).mean(0)

    return _distance_of(describer, maps, compare)


def _distance_of(
    network: nn.Module,
    maps: Callable[[Tensor], list[Tensor]],
    compare: Callable[[list[Tensor], list[Tensor]], Tensor],
) -> Distance:
    """A distance whose network follows its image's device."""

    def of(image: Tensor) -> Callable[[Tensor], Tensor]:
        _leave_inference(network)
        network.to(image.device)
        with torch.no_grad():
            known = maps(image)
        return lambda other: compare(maps(other), known)

    return of


def _leave_inference(network: nn.Module) -> None:
    """Give a network loaded in inference mode tensors that gradients may pass."""
    if any(parameter.is_inference() for parameter in network.parameters()):
        tensors = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(tensors, assign=True)
        network.requires_grad_(False)
        for name, value in network.named_buffers():
            if value.is_inference():
                network.register_buffer(name, value.clone(), persistent=False)


_LPIPS_FILE = "torchvision's {} (for LPIPS)"
METHODS = (
    MethodEntry(
        name="w-plus-optimisation",
        build=build,
        domains=("faces",),
        files=("a file with the generator (stylegan2-ffhq-config-f.pt)", _LPIPS_FILE.format("vgg16-397923af.pth")),
        edits=STYLE_RULES,
        optimises=True,
        released={"faces": ("stylegan2-ffhq", "vgg16-imagenet")},
        world=("generator.safetensors", "critics.safetensors"),
        title="W+ optimisation",
        no_golden="an optimisation with random numbers of its own; the authors' runs cannot be repeated bit by bit",
        summary="Every row of W+ optimised for the image (2,000 steps, stored noise); no encoder, no training",
    ),
    MethodEntry(
        name="pti",
        build=build,
        domains=("faces",),
        files=(
            "a file with the generator (stylegan2-ffhq-config-f.pt)",
            _LPIPS_FILE.format("vgg16-397923af.pth"),
            _LPIPS_FILE.format("alexnet-owt-7be5be79.pth"),
        ),
        edits=STYLE_RULES,
        optimises=True,
        released={"faces": ("stylegan2-ffhq", "vgg16-imagenet", "alexnet-imagenet")},
        world=("generator.safetensors", "critics.safetensors"),
        title="PTI",
        no_golden="an optimisation with random numbers of its own; the authors' runs cannot be repeated bit by bit",
        summary="PTI (Roich et al. 2022): a W pivot, then the generator tuned to the image; minutes an image",
    ),
)
