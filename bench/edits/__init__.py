"""Latent edits: cards, directions, strengths, and finding new directions."""
