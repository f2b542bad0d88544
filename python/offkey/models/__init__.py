"""Models of normal sound, and `register`, by which a model of one's own joins them (CONTRIBUTING.md has an example)."""

from offkey.models.base import FitOptions, InlierModel, LearnedClips, register
from offkey.models.encoders import register_encoder
from offkey.recipe import Section

__all__ = ["FitOptions", "InlierModel", "LearnedClips", "Section", "register", "register_encoder"]
