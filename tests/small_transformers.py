"""Small models of the library's own for looking inside: one of each form, with weights large enough to matter."""

import torch

from lib.architectures import Llama, LlamaConfig, Transformer, TransformerConfig
from lib.core import fixed_seed

__all__ = ["LAYERS", "gpt", "llama", "tokens"]

LAYERS = ["blocks.0", "blocks.1"]


def _large(model):
    with fixed_seed(1):
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
    return model.eval()


def gpt():
    with fixed_seed(0):
        return _large(Transformer(TransformerConfig(layers=2, width=8, heads=2, vocabulary=11, context=12)))


def llama():
    sizes = {"layers": 2, "width": 16, "heads": 4, "kv_heads": 2, "mlp_width": 12, "vocabulary": 11, "context": 12}
    with fixed_seed(0):
        return _large(Llama(LlamaConfig(**sizes)))


def tokens(seed=0, batch=3, time=7):
    return torch.randint(11, (batch, time), generator=torch.Generator().manual_seed(seed))
