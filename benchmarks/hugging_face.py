"""Hugging Face's byte-pair encoding with the words, the letters and the merges of ours: the other side in tests and timings."""

import tokenizers
from jaxtyping import Int64
from tokenizers import decoders, models, pre_tokenizers
from torch import Tensor

from lib.architectures.smollm2 import gpt2_letters
from lib.architectures.tokenization import WORDS

__all__ = ["tokenizer_twin"]


def tokenizer_twin(merges: Int64[Tensor, "merges 2"] | None = None) -> tokenizers.Tokenizer:
    """A tokenizer with the same words and bytes, and with our merges if there are some."""
    model = models.BPE()
    if merges is not None:
        letters = gpt2_letters()
        names = list(letters)
        for left, right in merges.tolist():
            names.append(names[left] + names[right])
        pairs = [(names[left], names[right]) for left, right in merges.tolist()]
        model = models.BPE(vocab={name: number for number, name in enumerate(names)}, merges=pairs)
    tokenizer = tokenizers.Tokenizer(model)
    words = pre_tokenizers.Split(tokenizers.Regex(WORDS.pattern), "isolated")
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, letters])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
