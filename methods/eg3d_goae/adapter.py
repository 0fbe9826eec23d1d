"""EG3D-GOAE: inversion in a 3D generator (goae card, section 5). A pose edit is another camera, no direction of codes.

It needs a camera for every image: 512 px crops as EG3D's preparation makes them, with their 25-number labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.checkpoint import load_strict, state_dict_of
from bench.core.contract import Domain, Inversion, stage
from bench.core.errors import MissingError
from methods.checkpoint_parts import one_of_each
from methods.eg3d_goae.network import Afa, Encoder, GoaeConfig, softened, visible
from methods.nets.base import Canvas, edited
from methods.nets.eg3d import Eg3d, Eg3dConfig, RenderConfig, Rendered
from methods.nets.eg3d.camera import turned
from methods.nets.eg3d.names import sorted_tensors
from methods.nets.stylegan2 import State
from methods.registry import Checkpoint, MethodEntry
from methods.styleres.names import generator_tensors

# The layer after b32 of the backbone, where the feature is filled.
_FRONT = 7
_PARTS = (("GOAE's encoder",), ("GOAE's AFA module",), ("an EG3D generator",))
_DERIVED = ("relative_coords_table", "relative_position_index", "attn_mask")


@dataclass(frozen=True)
class SceneInversion(Inversion):
    """Codes, and the scene of an image.

    Attributes:
        cameras: (N, 25), from where the image was taken.
        features: F (N, C, s, s), the backbone's own feature.
        filled: F', with what the codes lose.
        planes: P_f (N, 3, C, h, w) of F'.
        completed: Plane 0 (N, C, h, w), where the surface is not seen taken from the codes alone.
    """

    cameras: Tensor
    features: Tensor
    filled: Tensor
    planes: Tensor
    completed: Tensor


class Goae(nn.Module):
    """The method on given networks; images are 512 px."""

    stages: tuple[str, ...] = ("encode", "planes", "render", "fill", "mask")
    input_filter = "lanczos"

    def __init__(self, name: str, generator: Eg3d, encoder: Encoder, afa: Afa, config: GoaeConfig) -> None:
        super().__init__()
        self.name, self.config = name, config
        self.generator, self.encoder, self.afa = generator, encoder, afa
        self.domain: Domain = "faces"
        side = generator.config.output
        self.canvas = Canvas(self.domain, (side, side), side)
        self.input_size = self.output_size = (side, side)
        self.latent_rows = generator.config.backbone.rows

    def invert(self, images: Tensor) -> SceneInversion:
        """As `invert_seen`, for images taken from the front."""
        return self.invert_seen(images, turned(images.new_zeros(len(images), 2)))

    def invert_seen(self, images: Tensor, cameras: Tensor) -> SceneInversion:
        """Invert float32 (N, 3, 512, 512) in [-1, 1], taken from cameras (N, 25)."""
        self.canvas.check(images)
        side = self.config.swin.size
        # As Pillow's default filter does it.
        small = F.interpolate(images, (side, side), mode="bicubic", antialias=True, align_corners=False)
        with stage("encode"):
            codes = self.encoder(small) + self.generator.mapping.average
        return self.scene(images, cameras, codes)

    def scene(self, images: Tensor, cameras: Tensor, codes: Tensor) -> SceneInversion:
        """The rest of `invert_seen`, for known codes (N, 14, D)."""
        front = self._front(codes)
        plain = self._planes(codes, front)
        with stage("render"):
            picture = self.generator.view(plain, cameras, codes).image
        with stage("fill"):
            scale, shift = self.afa.modulation(images, picture, front.x)
            filled = scale * front.x + shift
        planes = self._planes(codes, front.with_features(filled))
        completed = self._completed(planes, plain, cameras)
        return SceneInversion(codes, cameras, front.x, filled, planes, completed)

    def edit(self, inversion: Inversion, delta: Tensor | None = None) -> Tensor:
        """Images (N, 3, 512, 512) from the image's own camera; an edit's planes are completed as in `view`."""
        assert isinstance(inversion, SceneInversion)
        if delta is None:
            return self._rendered(inversion.planes, inversion.cameras, inversion.codes)
        changed = self.edited_scene(inversion, delta)
        return self._rendered(_whole(changed), changed.cameras, changed.codes)

    def view(self, inversion: Inversion, degrees: Tensor) -> Tensor:
        """The completed scene from `degrees` (N, 2) of yaw and pitch against the frontal view."""
        assert isinstance(inversion, SceneInversion)
        return self._rendered(_whole(inversion), turned(degrees), inversion.codes)

    def edited_scene(self, inversion: SceneInversion, delta: Tensor) -> SceneInversion:
        """The scene with `delta` on its codes. The unedited codes modulate the finer blocks, as the authors' do."""
        codes = edited(inversion.codes, delta)
        front = self._front(codes)
        plain = self._planes(codes, front)
        filled = inversion.filled + (front.x - inversion.features)
        planes = self._planes(inversion.codes, front.with_features(filled))
        completed = self._completed(planes, plain, inversion.cameras)
        return replace(inversion, codes=codes, features=front.x, filled=filled, planes=planes, completed=completed)

    def _front(self, codes: Tensor) -> State:
        with stage("planes"):
            return self.generator.backbone.advance(None, codes, _FRONT)

    def _planes(self, codes: Tensor, state: State) -> Tensor:
        with stage("planes"):
            return self.generator.planes(codes, state)

    def _completed(self, planes: Tensor, plain: Tensor, cameras: Tensor) -> Tensor:
        with stage("render"):
            _, depth, _ = self.generator.features(planes, cameras)
        with stage("mask"):
            _, soft = self.mask(cameras, depth)
            return mixed(planes, plain, soft)

    def mask(self, cameras: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
        """Where the first plane is seen, (N, 1, side, side): binary, and with soft borders."""
        seen = visible(cameras, depth, self.config.mask_side, self.generator.config.render.box)
        return softened(seen, self.config.mask_sigma)

    def _rendered(self, planes: Tensor, cameras: Tensor, codes: Tensor) -> Tensor:
        with stage("render"):
            found: Rendered = self.generator.view(planes, cameras, codes)
            return found.image


def mixed(planes: Tensor, plain: Tensor, mask: Tensor) -> Tensor:
    """Plane 0 (N, C, h, w): the filled one where it is seen, that of the codes elsewhere."""
    return mask * planes[:, 0] + (1 - mask) * plain[:, 0]


def _whole(inversion: SceneInversion) -> Tensor:
    return torch.cat([inversion.completed[:, None], inversion.planes[:, 1:]], 1)


def build(entry: MethodEntry, domain: Domain, checkpoints: Sequence[Checkpoint]) -> Goae:
    """From the authors' three files in any order: encoder, AFA module, EG3D's network pickle."""
    encoder_file, afa_file, generator_file = one_of_each(checkpoints, _PARTS, entry.name, domain)
    config = GoaeConfig()
    with torch.device("meta"):
        generator = Eg3d(eg3d_config(generator_file))
        encoder, afa = Encoder(config), Afa(config)
    tensors = sorted_tensors(state_dict_of(generator_file.content), generator_tensors)
    load_strict(generator, tensors, str(generator_file.path))
    # Constants of the windows lie in the file too; they are computed here.
    own = {name: value for name, value in state_dict_of(encoder_file.content).items() if not name.endswith(_DERIVED)}
    load_strict(encoder, own, str(encoder_file.path))
    load_strict(afa, state_dict_of(afa_file.content), str(afa_file.path))
    return Goae(entry.name, generator, encoder, afa, config)


def eg3d_config(file: Checkpoint) -> Eg3dConfig:
    """The released sizes with the rendering settings that lie in the file.

    Raises MissingError where a setting is missing, or is one that other data sets need.
    """
    settings: dict[str, Any] = dict(file.content.get("settings", {}).get("rendering_kwargs", {}))
    try:
        render = RenderConfig(
            resolution=int(file.content["settings"]["neural_rendering_resolution"]),
            coarse=int(settings["depth_resolution"]),
            fine=int(settings["depth_resolution_importance"]),
            near=float(settings["ray_start"]),
            far=float(settings["ray_end"]),
            box=float(settings["box_warp"]),
            white=bool(settings.get("white_back", False)),
            disparity=bool(settings.get("disparity_space_sampling", False)),
        )
    except (KeyError, ValueError) as error:
        raise MissingError(
            f"{file.path} has no usable rendering settings ({error})", "give ffhqrebalanced512-128.pkl"
        ) from None
    return replace(Eg3dConfig(), render=render)


METHODS = (
    MethodEntry(
        name="eg3d-goae",
        build=build,
        files=("encoder_FFHQ.pt", "afa_FFHQ.pt", "ffhqrebalanced512-128.pkl"),
        edits=("add", "camera"),
        generator="eg3d-ffhq-512",
        latent_rows=14,
        title="EG3D-GOAE",
        summary="GOAE on EG3D (Yuan et al. 2023): codes and filled tri-planes; a pose edit turns the camera",
        golden=("eg3d_ffhq", "goae_ffhq"),
    ),
)
