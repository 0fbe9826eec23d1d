"""What a synthetic image shows: a table of named numbers, sampled with a seed.

A `Scene` is a batch of rows of `FIELDS`. The *face* fields are what the world's generator learns; the *detail* fields
(glasses, hats, earrings, face paint, freckles, patterned backgrounds) carry identity and are never shown to the
generator: they are the information a low-rate code cannot hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor

# name -> (low, high). Lengths are in half image heights (1.0 = 32 px of 64), angles in degrees, colours in 0..1.
FACE_FIELDS: dict[str, tuple[float, float]] = {
    "yaw": (-35.0, 35.0),  # + turns the face to the right of the image
    "smile": (-0.4, 1.0),
    "age": (0.0, 1.0),  # wrinkles and greying
    "face_width": (0.52, 0.62),
    "face_height": (0.68, 0.78),
    "skin_tone": (0.0, 1.0),
    "skin_warmth": (0.0, 1.0),
    "hair_tone": (0.0, 1.0),
    "hair_warmth": (0.0, 1.0),
    "hair_length": (-0.2, 0.9),
    "hairline": (0.40, 0.56),
    "eye_size": (0.10, 0.145),
    "eye_spacing": (0.24, 0.30),
    "eye_colour": (0.0, 1.0),
    "brow_height": (0.20, 0.27),
    "brow_tilt": (-0.25, 0.35),
    "brow_weight": (0.022, 0.045),
    "nose_length": (0.13, 0.22),
    "nose_width": (0.06, 0.11),
    "mouth_width": (0.15, 0.22),
    "mouth_weight": (0.025, 0.05),
    "lip_colour": (0.0, 1.0),
    "light_angle": (-60.0, 60.0),
    "light_power": (0.3, 0.7),
    "back_red": (0.1, 0.9),
    "back_green": (0.1, 0.9),
    "back_blue": (0.1, 0.9),
    "back_slope": (-0.25, 0.25),
    "cloth_tone": (0.0, 1.0),
    "cloth_warmth": (0.0, 1.0),
}
DETAIL_FIELDS: dict[str, tuple[float, float]] = {
    "glasses": (0.0, 1.0),  # a detail is there when its switch is above 0.5
    "glasses_size": (0.15, 0.20),
    "glasses_square": (0.0, 1.0),
    "glasses_hue": (0.0, 1.0),
    "hat": (0.0, 1.0),
    "hat_line": (0.36, 0.46),
    "hat_pattern": (0.0, 1.0),
    "hat_frequency": (5.0, 9.0),
    "hat_hue": (0.0, 1.0),
    "hat_hue2": (0.0, 1.0),
    "earrings": (0.0, 1.0),
    "earring_size": (0.05, 0.08),
    "earring_hue": (0.0, 1.0),
    "paint": (0.0, 1.0),
    "paint_place": (0.0, 1.0),
    "paint_angle": (0.0, 180.0),
    "paint_frequency": (18.0, 30.0),
    "paint_hue": (0.0, 1.0),
    "freckles": (0.0, 1.0),
    "freckle_seed": (0.0, 1.0),
    "backdrop": (0.0, 1.0),
    "backdrop_pattern": (0.0, 1.0),
    "backdrop_angle": (0.0, 180.0),
    "backdrop_frequency": (6.0, 14.0),
    "backdrop_hue": (0.0, 1.0),
}
FIELDS: dict[str, tuple[float, float]] = FACE_FIELDS | DETAIL_FIELDS
SWITCHES = ("glasses", "hat", "earrings", "paint", "freckles", "backdrop")
_INDEX = {name: i for i, name in enumerate(FIELDS)}


@dataclass(frozen=True)
class Scene:
    """A batch of scenes: `values` float32 (N, len(FIELDS)), in the units of `FIELDS`."""

    values: Tensor

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, key: str) -> Tensor: ...
    @overload
    def __getitem__(self, key: slice) -> Scene: ...
    def __getitem__(self, key: str | slice) -> Tensor | Scene:
        return self.values[:, _INDEX[key]] if isinstance(key, str) else Scene(self.values[key])

    def get(self, name: str) -> Tensor:
        """One field as (N, 1, 1), ready to meet (N, H, W) maps."""
        return self.values[:, _INDEX[name], None, None]

    def to(self, device: torch.device | str) -> Scene:
        """The same scenes on a device."""
        return Scene(self.values.to(device))

    def with_fields(self, **fields: float | Tensor) -> Scene:
        """The same scenes with some fields set (not clipped to their range)."""
        values = self.values.clone()
        for name, value in fields.items():
            values[:, _INDEX[name]] = torch.as_tensor(value, dtype=values.dtype)
        return Scene(values)

    def without_details(self) -> Scene:
        """The same people without what the generator never saw (glasses, hats, earrings, freckles, paint)."""
        return self.with_fields(**dict.fromkeys(SWITCHES, 0.0))

    def digest(self, row: int) -> str:
        """SHA-256 of one scene's numbers: the identity of its image."""
        return hashlib.sha256(self.values[row].cpu().contiguous().numpy().astype("<f4").tobytes()).hexdigest()

    def attributes(self, row: int) -> Mapping[str, int]:
        """CelebA-style labels of one scene, -1 or 1."""
        value = dict(zip(FIELDS, self.values[row].tolist(), strict=True))
        tests = {
            "Smiling": value["smile"] > 0.35,
            "Young": value["age"] < 0.5,
            "Eyeglasses": value["glasses"] > 0.5,
            "Wearing_Hat": value["hat"] > 0.5,
            "Wearing_Earrings": value["earrings"] > 0.5,
        }
        return {name: 1 if test else -1 for name, test in tests.items()}


def _uniform(count: int, names: Mapping[str, tuple[float, float]], random: torch.Generator) -> Tensor:
    low, high = torch.tensor(list(names.values())).T
    return low + (high - low) * torch.rand(count, len(names), generator=random)


def scene_of_latent(z: Tensor) -> Scene:
    """Scenes without details of generator inputs z (N, D), D >= len(FACE_FIELDS): coordinate i is field i, made
    uniform.

    Further coordinates mean nothing. Only the fit of the generator uses this map; no measurement ever reads z.
    """
    low, high = torch.tensor(list(FACE_FIELDS.values()), device=z.device).T
    z = z.float() * torch.rsqrt(z.float().square().mean(1, keepdim=True) + 1e-8)  # the generator sees no length either
    share = torch.special.ndtr(z[:, : len(FACE_FIELDS)])
    face = low + (high - low) * share
    details_off = torch.tensor([bounds[0] for bounds in DETAIL_FIELDS.values()], device=z.device)
    return Scene(torch.cat([face, details_off.expand(len(z), -1)], 1))


def sample_people(count: int, seed: int, *, details: bool = True) -> Scene:
    """`count` seeded scenes of distinct people, half of them smiling; each has about half of the details.

    Smiles are bimodal (smiling 0.55..1, not smiling -0.4..0.15), as labels of real data are easy at the ends.
    """
    random = torch.Generator().manual_seed(seed)
    scene = Scene(torch.cat([_uniform(count, FACE_FIELDS, random), _uniform(count, DETAIL_FIELDS, random)], 1))
    spread = torch.rand(count, generator=random)
    smiling = torch.arange(count) % 2 == 0
    scene = scene.with_fields(
        smile=torch.where(smiling, 0.55 + 0.45 * spread, -0.4 + 0.55 * spread),
        yaw=25.0 * torch.randn(count, generator=random).clamp(-1.2, 1.2),
    )
    return scene if details else scene.without_details()


def other_photo(scene: Scene, seed: int) -> Scene:
    """The same people on another day: new yaw, smile, light and background; face and worn details stay."""
    random = torch.Generator().manual_seed(seed)
    changing = {
        name: FIELDS[name]
        for name in FIELDS
        if name in ("yaw", "smile") or name.startswith(("light_", "back_", "backdrop"))
    }
    values = _uniform(len(scene), changing, random)
    return scene.with_fields(**{name: values[:, i] for i, name in enumerate(changing)})
