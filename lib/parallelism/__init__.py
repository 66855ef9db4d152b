"""Several processes working on one model."""

from .launch import run_ranks

__all__ = ["run_ranks"]
