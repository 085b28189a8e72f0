"""Asks registries whether they have an image. Talks to registries; reads Docker's own settings."""
