"""StyleGAN2: generator and discriminator in the inversion format (stylegan2 card)."""

from methods.nets.stylegan2.discriminator import Discriminator, DiscriminatorConfig
from methods.nets.stylegan2.generator import Generator, GeneratorConfig, Shifted, State, StyleDelta, Synthesis

__all__ = [
    "Discriminator",
    "DiscriminatorConfig",
    "Generator",
    "GeneratorConfig",
    "Shifted",
    "State",
    "StyleDelta",
    "Synthesis",
]
