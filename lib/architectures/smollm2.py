"""SmolLM2-135M-Instruct as its file has it: a Llama with its weights, and the tokens that it was trained on."""

import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import groupby
from typing import Any

import numpy as np
import torch

from lib.data import GgufFile, read_gguf_header, smollm2_file

from .llama import Llama, LlamaConfig
from .tokenization import BytePairEncoding

__all__ = ["gpt2_letters", "llama_from_gguf", "smollm2", "smollm2_encoding"]

# Our names of a layer's weights → the file's.
_LAYER = {
    "attention_norm": "attn_norm", "attention.query": "attn_q", "attention.key": "attn_k", "attention.value": "attn_v",
    "attention.output": "attn_output", "mlp_norm": "ffn_norm", "mlp.gate": "ffn_gate", "mlp.up": "ffn_up", "mlp.down": "ffn_down",
}  # fmt: skip
_SIZES = {
    "layers": "block_count", "width": "embedding_length", "heads": "attention.head_count",
    "kv_heads": "attention.head_count_kv", "mlp_width": "feed_forward_length", "vocabulary": "vocab_size",
    "context": "context_length", "base": "rope.freq_base", "eps": "attention.layer_norm_rms_epsilon",
}  # fmt: skip
_CONTROL = 3  # type of a token that stands for no text


def smollm2() -> Llama:
    """Load SmolLM2-135M-Instruct in evaluation mode, its weights dequantised to float32 (135 million, 538 MB; Apache-2.0).

    >>> smollm2().config.layers
    30

    Raises:
        FileNotFoundError: the package is not installed.
        ValueError: as :func:`llama_from_gguf`.
    """
    return llama_from_gguf(GgufFile(smollm2_file()))


def llama_from_gguf(file: GgufFile) -> Llama:
    """Build the Llama that a GGUF file describes, in evaluation mode, and read its weights.

    The file turns neighbouring features, as the paper on rotary positions does: llama.cpp exchanges the rows of queries
    and keys when it writes one.

    Raises:
        ValueError: another architecture, a size that is missing or outside its rule, a tensor that is missing, too many
            or of another shape; as :class:`~lib.data.gguf_tensors.GgufFile`.
    """
    architecture = file.metadata.get("general.architecture")
    if architecture != "llama":
        raise ValueError(f"general.architecture must be 'llama', got {architecture!r}")
    sizes = {ours: _value(file.metadata, f"llama.{theirs}", int, float) for ours, theirs in _SIZES.items()}
    try:
        config = LlamaConfig(**sizes, tied="output.weight" not in file)
    except TypeError as error:
        raise ValueError(f"the file's sizes must be those of a Llama: {error}") from error
    turned = file.metadata.get("llama.rope.dimension_count", config.width // config.heads)
    if turned != config.width // config.heads:
        raise ValueError(f"all {config.width // config.heads} features of a head must turn, got {turned} in the file")
    names = {"embedding.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}
    if not config.tied:
        names["head.weight"] = "output.weight"
    if len(file) != len(names) + config.layers * len(_LAYER):  # before so many layers are made
        raise ValueError(
            f"a Llama of {config.layers} layers must have {len(names) + config.layers * len(_LAYER)} tensors, got {len(file)}"
        )
    for layer in range(config.layers):
        names |= {f"blocks.{layer}.{ours}.weight": f"blk.{layer}.{theirs}.weight" for ours, theirs in _LAYER.items()}
    with torch.device("meta"):
        model = Llama(config).eval()
    for ours, parameter in model.named_parameters():
        stored = file.stored.get(names[ours])
        if stored is None or stored.shape != tuple(parameter.shape):
            shape = "none" if stored is None else stored.shape
            raise ValueError(f"{names[ours]!r} must have shape {tuple(parameter.shape)}, got {shape}")
    model.load_state_dict({ours: file[theirs] for ours, theirs in names.items()}, strict=not config.tied, assign=True)
    if config.tied:
        model.head.weight = model.embedding.weight
    return model


def smollm2_encoding() -> BytePairEncoding:
    """Read SmolLM2's tokens from its file: 235 bytes, 48,900 merges, 17 special tokens, in the model's numbers.

    Pieces are those of GPT-2, except that each digit is one for itself. Bytes that no frequent text has are missing.

    >>> encoding = smollm2_encoding()
    >>> [encoding.decode(token[None]) for token in encoding.encode("It's 2026.")]
    ['It', "'s", ' ', '2', '0', '2', '6', '.']

    Raises:
        FileNotFoundError: the package is not installed.
        ValueError: tokens and merges that do not belong together, other pieces.
    """
    return _encoding(read_gguf_header(smollm2_file()).metadata)


def gpt2_letters() -> list[str]:
    """The letter by which GPT-2 and its heirs write each byte: those that print stand for themselves (Radford et al. 2019).

    >>> "".join(gpt2_letters()[byte] for byte in b" the\\n")
    'ĠtheĊ'
    """
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = iter(range(256, 512))
    return [chr(byte if byte in shown else next(hidden)) for byte in range(256)]


def _encoding(metadata: Mapping[str, Any]) -> BytePairEncoding:
    for key, rule in (("tokenizer.ggml.model", "gpt2"), ("tokenizer.ggml.pre", "smollm")):
        if metadata.get(key) != rule:
            raise ValueError(f"{key} must be {rule!r}, got {metadata.get(key)!r}")
    names = _value(metadata, "tokenizer.ggml.tokens", list)
    kinds = _value(metadata, "tokenizer.ggml.token_type", np.ndarray)
    merges = _value(metadata, "tokenizer.ggml.merges", list)
    if len(kinds) != len(names):
        raise ValueError(f"each token must have a type, got {len(names)} tokens and {len(kinds)} types")
    letters = gpt2_letters()
    # Our numbers: bytes, then merges in their order. What two tokens are joined to is written as the two.
    ours, pairs = {letter: byte for byte, letter in enumerate(letters)}, []
    for merge in merges:
        left, _, right = merge.partition(" ")
        if left not in ours or right not in ours:
            raise ValueError(f"a merge must join two tokens that are there before it, got {merge!r}")
        pairs.append([ours[left], ours[right]])
        ours[left + right] = len(letters) + len(pairs) - 1
    special = [name for name, kind in zip(names, kinds.tolist(), strict=True) if kind == _CONTROL]
    theirs = {name: number for number, name in enumerate(names)}
    for made, among, rule in (
        (ours, {*theirs, *letters}, "what a merge gives must be among the tokens"),
        (theirs, {*ours, *special}, "a token must be a byte, what a merge gives, or special"),
    ):
        if strange := [name for name in made if name not in among]:
            raise ValueError(f"{rule}, got {strange[0]!r}, which is not")
    numbers = [theirs.get(name, -1) for name in (*ours, *special)]
    return BytePairEncoding(
        torch.tensor(pairs).view(-1, 2), special=special, words=_pieces(), numbers=torch.tensor(numbers)
    )


@cache
def _pieces() -> re.Pattern:
    """GPT-2's pattern on what lies between numerals, each of which is a piece for itself."""
    numerals = "".join(
        f"{first}-{last}" for first, last in _ranges(lambda sign: unicodedata.category(sign).startswith("N"))
    )
    blanks = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # Unicode's; Python adds \x1c-\x1f
    return re.compile(
        rf"[{numerals}]|'(?:s|t|re|ve|m|ll|d)| ?[^\W_{numerals}]+| ?(?:[^{blanks}\w]|_)+"
        rf"|[{blanks}]+(?![^{blanks}{numerals}])|[{blanks}]"
    )


def _ranges(belongs: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """First and last of each run of characters that belong."""
    for chosen, run in groupby(map(chr, range(sys.maxunicode + 1)), belongs):
        if chosen:
            signs = list(run)
            yield signs[0], signs[-1]


def _value(metadata: Mapping[str, Any], key: str, *kinds: type) -> Any:
    value = metadata.get(key)
    if not isinstance(value, kinds) or isinstance(value, bool):
        words = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"{key} must be in the file as {words}, got {type(value).__name__}")
    return value
