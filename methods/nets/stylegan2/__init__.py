"""StyleGAN2: generator and discriminator in the inversion format (stylegan2 card)."""

from methods.nets.stylegan2.discriminator import Discriminator, DiscriminatorConfig
from methods.nets.stylegan2.generator import Generator, GeneratorConfig, State

__all__ = ["Discriminator", "DiscriminatorConfig", "Generator", "GeneratorConfig", "State"]
