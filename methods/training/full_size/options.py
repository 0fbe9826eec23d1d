"""Every choice of a full-size training, with the cards' default ("warpres" card 2-4, "training_step" card 5).

What cannot be is refused by name when the recipe is read, before any file is looked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.core.contract import Domain
from bench.core.errors import UsageError
from methods.nets.flow.glunet import FlowConfig, FlowKind
from methods.nets.flow.vgg_pyramid import PyramidConfig
from methods.nets.vgg16 import LAYERS
from methods.styleres.bases import BASES
from methods.styleres.network import Arch, Init, ResidualConfig
from methods.styleres.pipeline import StyleResConfig
from methods.training.bounds import Count, CountOrNone, Factor, Share, Weight, check_alpha
from methods.warpres.network import WarpResConfig

BaseName = Literal["e4e", "psp", "styletransformer"]
_TAPS = {64: (1, 128, 512), 128: (0, 64, 256)}  # feature_res -> backbone stage, channels of F_0, channels of F_g


@dataclass(frozen=True)
class Weights:
    """Weights on the first pass, x' and x'_i; 0 leaves a term out ("warpres" card 4).

    Reconstruction terms (l2, perceptual, identity) are means over the samples without an edit, the others over all.
    """

    l2: Weight = 1.0
    perceptual: Weight = 1e-3
    identity: Weight = 0.1
    adversarial: Weight = 0.1
    regulariser: Weight = 3.0
    flow: Weight = 1.0


@dataclass(frozen=True)
class CycleWeights:
    """Weights on the second pass, x''."""

    l2: Weight = 0.0
    perceptual: Weight = 1e-4
    identity: Weight = 0.01


@dataclass(frozen=True)
class Options:
    """Options of the task `full_size`.

    Attributes:
        domain: "faces" (1024 px) or "cars" (512 px, rows 64..447 of the generator).
        model: "styleres" or "warpres".
        base: The frozen base encoder E_0.
        base_generator: "shared" (NVIDIA's FFHQ generator under every base) or "own" (the decoder in the base's file).
        arch, width, init: Of E_1 and E_2; width None is the build's own.
        gate: Whether E_2's addition is gated; None is what the build has, and a build cannot have another.
        feature_res: Side of the generator map that is changed; 128 for the journal version's.
        flow_net: The released flow network: the teacher, and what the flow head starts as.
        flow_source: "features" (the method) or "pictures" (the ablation: the released network, frozen).
        adapter_relu: Whether adapters end in a ReLU.
        skip_flow_if_same: Take zero flow where nothing was edited, at test time.
        adapter_warm_up: First steps, which only regress the teacher's VGG features from the generator's; 0 for none,
            None for the card's 1,000 where there are adapters.
        warm_up_rate_factor: Of the rate, for these steps.
        flow_norm: Batch norms of the flow head: "train", "frozen", or "auto" (train from 8 images a process on).
        flow_norm_steps: Last warm-up steps in which frozen batch norms get statistics of the generator's features.
        alpha: Range of the simulated edit's strength.
        edit_share: Probability of an edit.
        path_choice: Draw it for each "sample" or for the whole "batch".
        cycle_grad: "detach" x'_i before it is encoded again, or let gradients go "through" it.
        cycle_on: Run the second pass on "all" samples or on the "edited" ones.
        discriminator_first: Step D before E.
        d_res: What D sees: images of 256 px, or of the generator's own ("native") size.
        d_start: D "pretrained" (NVIDIA's for FFHQ at 256 px) or from "scratch".
        d_precision: Of D's layers, R1 included.
        r1_gamma, r1_every: Of the penalty gamma / 2 |grad D|^2, in every how many steps (and so many times as heavy).
        vgg_layers: Layers of the perceptual loss, summed.
        vgg_input_scale: What white is worth at VGG's entrance.
        tf_epsilon: Adam's epsilon beside the uncorrected root, as TensorFlow has it.
        clip: Largest norm of the gradient of what is trained; 0 for no limit.
        mirror: Mirror half of the images.
        held_out: Images kept from training for the checks, at most a tenth of all.
        workers: Threads that decode images.
        weights, cycle: Of the losses.
    """

    domain: Domain
    model: Literal["styleres", "warpres"]
    base: BaseName = "e4e"
    base_generator: Literal["shared", "own"] = "shared"
    arch: Arch = "paper"
    width: Count | None = None
    init: Init = "torch_default"
    gate: bool | None = None
    feature_res: Literal[64, 128] = 64
    flow_net: FlowKind = "warpc_glunet"
    flow_source: Literal["features", "pictures"] = "features"
    adapter_relu: bool = False
    skip_flow_if_same: bool = False
    adapter_warm_up: CountOrNone | None = None
    warm_up_rate_factor: Factor = 10.0
    flow_norm: Literal["auto", "train", "frozen"] = "auto"
    flow_norm_steps: CountOrNone = 500
    alpha: tuple[Share, Share] = (0.4, 0.5)
    edit_share: Share = 0.5
    path_choice: Literal["sample", "batch"] = "sample"
    cycle_grad: Literal["detach", "through"] = "detach"
    cycle_on: Literal["all", "edited"] = "all"
    discriminator_first: bool = True
    d_res: Literal["256", "native"] = "256"
    d_start: Literal["pretrained", "scratch"] = "pretrained"
    d_precision: Literal["float32", "bfloat16", "float16"] = "float32"
    r1_gamma: Weight = 10.0
    r1_every: Count = 1
    vgg_layers: tuple[str, ...] = ("relu4_3",)
    vgg_input_scale: Factor = 255.0
    tf_epsilon: bool = True
    clip: Weight = 0.0
    mirror: bool = True
    held_out: CountOrNone = 64
    workers: Count = 4
    weights: Weights = Weights()
    cycle: CycleWeights = CycleWeights()

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        for wrong, what, advice in self._conflicts():
            if wrong:
                raise UsageError(what, advice)

    @property
    def warm_up_steps(self) -> int:
        """Steps that train the adapters alone."""
        if self.adapter_warm_up is None:
            return 1000 if self.model == "warpres" and self.flow_source == "features" else 0
        return self.adapter_warm_up

    def _conflicts(self) -> list[tuple[bool, str, str]]:
        gated = self.arch == "styleres"
        images = self.flow_source == "pictures"
        unknown = [name for name in self.vgg_layers if name not in LAYERS]
        return [
            (
                self.domain not in BASES[self.base].domains,
                f"base = {self.base} has no {self.domain} encoder",
                f"bases for {self.domain}: {', '.join(base for base in BASES if self.domain in BASES[base].domains)}",
            ),
            (
                self.domain == "cars" and self.base_generator == "shared",
                "base_generator = shared: no cars generator was released by itself",
                'base_generator = "own", the decoder in the base encoder\'s file',
            ),
            (
                self.gate is not None and self.gate != gated,
                f"gate = {str(self.gate).lower()} does not go with arch = {self.arch}, which has "
                + ("a gate" if gated else "none"),
                'only arch = "styleres" is gated',
            ),
            (
                self.d_start == "pretrained" and (self.d_res == "native" or self.domain == "cars"),
                f"d_start = pretrained: the released discriminator is for faces at 256 px, not for d_res = {self.d_res}"
                f" and domain = {self.domain}",
                'd_start = "scratch"',
            ),
            (
                images and self.model == "warpres" and (self.weights.flow > 0 or self.warm_up_steps > 0),
                "flow_source = pictures takes the released flow as it is: there is no flow loss and no adapter",
                "weights.flow = 0 and adapter_warm_up = 0",
            ),
            (
                self.model == "styleres" and (self.weights.flow > 0 or self.warm_up_steps > 0),
                "model = styleres has no flow",
                "weights.flow = 0 and adapter_warm_up = 0",
            ),
            (
                self.flow_norm_steps > self.warm_up_steps > 0,
                f"flow_norm_steps = {self.flow_norm_steps} is more than adapter_warm_up = {self.warm_up_steps}",
                "they are its last steps",
            ),
            (bool(unknown), f"vgg_layers: unknown {', '.join(unknown)}", f"known: {', '.join(LAYERS)}"),
            (not self.vgg_layers, "vgg_layers is empty", "for no perceptual loss: weights.perceptual = 0"),
        ]

    def model_config(self) -> StyleResConfig:
        """The network to be trained."""
        tap, base_channels, channels = _TAPS[self.feature_res]
        own = 128 if self.arch == "paper" else channels
        residual = ResidualConfig(self.arch, self.width or own, base_channels, channels, self.init)
        if self.model == "styleres":
            return StyleResConfig(residual, self.feature_res, tap)
        return WarpResConfig(
            residual=residual,
            feature_res=self.feature_res,
            base_tap=tap,
            flow=FlowConfig(kind=self.flow_net),
            adapter_relu=self.adapter_relu,
            flow_source=self.flow_source,
            pyramid=PyramidConfig(ceil_pool=self.flow_net == "warpc_semantic_glunet"),
            skip_flow_if_same=self.skip_flow_if_same,
        )
