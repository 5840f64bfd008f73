"""All answers: importing a module of this package enters its cases into the table."""

from scripts.goldens import autoencoder, encoders, eps_probe, sampling, schedule, unet
from scripts.goldens.registry import ANSWERS

__all__ = ["ANSWERS", "autoencoder", "encoders", "eps_probe", "sampling", "schedule", "unet"]
