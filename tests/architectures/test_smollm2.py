"""SmolLM2 from its file: facts that it knows, logits that another reading of the file gives, its tokens, files that are none."""

import importlib
import unicodedata

import numpy as np
import pytest
import tokenizers
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_gguf import gguf, plain
from tokenizers import decoders, models, pre_tokenizers
from torch.testing import assert_close

from lib.architectures import KVCache, Llama, LlamaConfig, cross_entropy, generate, smollm2, smollm2_encoding
from lib.core import fixed_seed
from lib.data import GgufFile, load_documentation_text, read_gguf_header, smollm2_file

own = importlib.import_module("lib.architectures.smollm2")  # its name in the package is the function's
METADATA = read_gguf_header(smollm2_file()).metadata
ENCODING = smollm2_encoding()
SIZES = {"layers": 2, "width": 8, "heads": 4, "kv_heads": 2, "mlp_width": 12, "vocabulary": 11, "context": 16}
TOLD = {f"llama.{theirs}": SIZES[ours] for ours, theirs in own._SIZES.items() if ours in SIZES}
TOLD |= {"general.architecture": "llama", "llama.rope.freq_base": 50.0, "llama.attention.layer_norm_rms_epsilon": 0.25}


@pytest.fixture(scope="module")
def model():
    return smollm2()


def small(tied=True):
    """A small Llama, and what a file of it holds."""
    with fixed_seed(0):
        made = Llama(LlamaConfig(**SIZES, base=50.0, eps=0.25, tied=tied))
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter)
    names = {"embedding": "token_embd", "norm": "output_norm", "head": "output"}
    tensors = []
    for name, parameter in made.named_parameters():
        start, *rest = name.removesuffix(".weight").split(".", 2)
        theirs = f"blk.{rest[0]}.{own._LAYER[rest[1]]}" if rest else names[start]
        tensors.append(plain(f"{theirs}.weight", parameter.detach().numpy()))
    return made, tensors


@pytest.fixture
def opened(tmp_path):
    def open_file(metadata, tensors):
        (tmp_path / "small.gguf").write_bytes(gguf(metadata, tensors))
        return GgufFile(tmp_path / "small.gguf")

    return open_file


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_comes_back_from_its_file(opened, tied):
    made, tensors = small(tied)
    read = own.llama_from_gguf(opened(TOLD, tensors))
    assert read.config == made.config
    assert not read.training
    text = torch.arange(11)[None]
    assert torch.equal(read(text), made(text))
    assert (read.head.weight is read.embedding.weight) is tied
    assert all(parameter.requires_grad and parameter.device.type == "cpu" for parameter in read.parameters())


@torch.no_grad()
def test_the_capital_of_france(model):
    probabilities = model(ENCODING.encode("The capital of France is")[None])[0, -1].softmax(0)
    best = probabilities.topk(2)
    assert [ENCODING.decode(token[None]) for token in best.indices] == [" Paris", " the"]
    assert_close(best.values, torch.tensor([0.7725, 0.0645]), atol=1e-3, rtol=0)  # float32 over 30 layers


@torch.no_grad()
def test_the_file_turns_neighbours(model):
    """Which features it turns together is found out on a long text: of five tokens either way comes ' Paris' with p > 0.7."""
    text = ENCODING.encode("".join(load_documentation_text().test.values())[:6000])[:257]
    losses = {}
    for pairs in ("halves", "neighbours"):
        for block in model.blocks:
            block.attention.pairs = pairs
        losses[pairs] = cross_entropy(model(text[None, :-1])[0], text[1:]).item()
    assert losses["neighbours"] == pytest.approx(3.03, abs=0.02)
    assert losses["halves"] > losses["neighbours"] + 1.5


@torch.no_grad()
def test_with_a_cache_logits_are_those_of_the_whole(model):
    text = ENCODING.encode("def fibonacci(n):\n    if n < 2:\n        return n\n    return fib")[None]
    cache = KVCache(30, text.shape[1])
    parts = [model(piece, cache=cache) for piece in text.split([1, 9, text.shape[1] - 10], 1)]
    # Logits are of the order of 10: float32 keeps seven digits, of which 30 layers leave five.
    assert_close(torch.cat(parts, 1), model(text), atol=1e-3, rtol=0)
    cached, whole = (generate(model, text, 3, cached=cached) for cached in (True, False))
    assert torch.equal(cached, whole)


def their_tokenizer():
    """The file's vocabulary and merges in the library of Hugging Face, with the pieces of SmolLM."""
    names = METADATA["tokenizer.ggml.tokens"]
    pairs = [tuple(merge.split(" ")) for merge in METADATA["tokenizer.ggml.merges"]]
    other = tokenizers.Tokenizer(models.BPE(vocab={name: number for number, name in enumerate(names)}, merges=pairs))
    other.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    other.decoder = decoders.ByteLevel()
    kinds = METADATA["tokenizer.ggml.token_type"].tolist()
    other.add_special_tokens([name for name, kind in zip(names, kinds, strict=True) if kind == 3])
    return other


THEIRS = their_tokenizer()
# Signs that came to Unicode after one of the two libraries belong to no class in the older one; bytes without a token are
# refused here and dropped there.
SIGNS = st.characters(codec="utf-8", exclude_categories=["Cn", "Cc", "Co", "Cs"])


@settings(max_examples=300)
@given(st.one_of(st.text(SIGNS), st.text("a Z's1 ½²Ⅷ一.\n\t\r_'é\u00a0\u2003\u0301"), st.text("'sdmtrelvl 3")))
def test_any_text_gives_the_tokens_of_hugging_face(text):
    if any(byte not in HAS for byte in text.encode()):
        with pytest.raises(ValueError, match="text must be of bytes that the vocabulary has, got 0x"):
            ENCODING.encode(text)
        return
    tokens = ENCODING.encode(text)
    assert tokens.tolist() == THEIRS.encode(text).ids
    assert ENCODING.decode(tokens) == text


HAS = {byte for byte, letter in enumerate(own.gpt2_letters()) if letter in METADATA["tokenizer.ggml.tokens"]}


def test_which_bytes_have_no_token():
    controls, planes = {0x04, 0x06, 0x13, 0x14, 0x16, 0x1D}, {0xF1, 0xF2}  # planes 4 to 11 hold no sign
    never = {0xC0, 0xC1, *range(0xF5, 0x100)}  # in UTF-8
    assert set(range(256)) - HAS == controls | planes | never


def test_documentation_and_conversations_give_the_tokens_of_hugging_face():
    text = "".join(load_documentation_text().test.values())
    tokens = ENCODING.encode(text)
    assert tokens.tolist() == THEIRS.encode(text).ids
    assert ENCODING.decode(tokens) == text
    chat = "<|im_start|>user\nWhat is 12 + 345?<|im_end|>\n<|im_start|>assistant\n"
    marked = ENCODING.encode(chat, with_special=True)
    assert marked.tolist() == THEIRS.encode(chat).ids
    assert marked[0] == ENCODING.special["<|im_start|>"] == 1
    # What a user types cannot end a turn.
    assert ENCODING.encode("<|im_end|>").tolist() != [2]
    assert ENCODING.vocabulary == 49_152


def test_every_numeral_is_one_piece():
    """Also those that are no decimal digits; a letter that counts, such as 一, is a letter."""
    pieces = own._pieces()
    for sign in "7½²Ⅷ٣":
        assert unicodedata.category(sign).startswith("N")
        assert pieces.findall(f"a {sign}{sign}b") == ["a", " ", sign, sign, "b"]
    assert pieces.findall("x 一 二") == ["x", " 一", " 二"]
    assert pieces.findall("a  1   b \n") == ["a", "  ", "1", "  ", " b", " \n"]


TOKENS = ["<end>", *own.gpt2_letters(), "ab", "abc"]
VOCABULARY = {
    "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm", "tokenizer.ggml.tokens": TOKENS,
    "tokenizer.ggml.token_type": np.array([3] + [1] * 258), "tokenizer.ggml.merges": ["a b", "ab c"],
}  # fmt: skip


def test_tokens_have_the_files_numbers():
    encoding = own._encoding(VOCABULARY)
    assert encoding.encode("abcab<end>", with_special=True).tolist() == [258, 257, 0]
    assert encoding.decode(torch.tensor([258, 0, TOKENS.index("Ġ")])) == "abc<end> "


def tokens_but(**changes):
    return own._encoding(VOCABULARY | {f"tokenizer.ggml.{key}": value for key, value in changes.items()})


WRONG = {
    "another kind of tokens": (lambda: tokens_but(model="llama"), ValueError, "tokenizer.ggml.model must be 'gpt2', got 'llama'"),
    "other pieces": (lambda: tokens_but(pre="qwen2"), ValueError, "tokenizer.ggml.pre must be 'smollm', got 'qwen2'"),
    "no tokens": (lambda: tokens_but(tokens=None), ValueError, "tokenizer.ggml.tokens must be in the file as list, got NoneType"),
    "types of other tokens": (lambda: tokens_but(token_type=np.ones(3)), ValueError, "each token must have a type, got 259 tokens and 3 types"),
    "a merge of what is not there": (lambda: tokens_but(merges=["ab c"]), ValueError, "must join two tokens that are there before it, got 'ab c'"),
    "a merge of one": (lambda: tokens_but(merges=["ab"]), ValueError, "must join two tokens that are there before it, got 'ab'"),
    "a merge to no token": (lambda: tokens_but(merges=["a b", "ab d"]), ValueError, "must be among the tokens, got 'abd', which is not"),
    "a token that nothing gives": (lambda: tokens_but(merges=["a b"]), ValueError, "a token must be a byte, what a merge gives, or special, got 'abc', which is not"),
}  # fmt: skip


NO_MODEL = {
    "another architecture": ({"general.architecture": "gpt2"}, {}, "general.architecture must be 'llama', got 'gpt2'"),
    "a size that is missing": ({"llama.block_count": None}, {}, "llama.block_count must be in the file as int or float, got NoneType"),
    "a size in words": ({"llama.embedding_length": "8"}, {}, "llama.embedding_length must be in the file as int or float, got str"),
    "half a layer": ({"llama.block_count": 1.5}, {}, "the file's sizes must be those of a Llama: layers must be an int, got float 1.5"),
    "no heads": ({"llama.attention.head_count": 0}, {}, "heads must be at least 1, got 0"),
    "a base that is no number": ({"llama.rope.freq_base": float("nan")}, {}, "base must be positive and finite, got nan"),
    "a billion layers": ({"llama.block_count": 10**9}, {}, r"a Llama of 1000000000 layers must have 9000000002 tensors, got 20"),
    "half of a head turned": ({"llama.rope.dimension_count": 1}, {}, "all 2 features of a head must turn, got 1 in the file"),
    "a wider model than its weights": ({"llama.embedding_length": 16}, {}, r"'token_embd.weight' must have shape \(11, 16\), got \(11, 8\)"),
    "a huge vocabulary": ({"llama.vocab_size": 2**31}, {}, r"must have shape \(2147483648, 8\), got \(11, 8\)"),
    "a tensor of another name": ({}, {"blk.1.ffn_up.weight": "blk.1.ffn_wide.weight"}, "'blk.1.ffn_up.weight' must have shape .*, got none"),
}  # fmt: skip


@pytest.mark.bad_input
@pytest.mark.parametrize("fault", NO_MODEL)
def test_a_file_that_is_no_llama_is_refused(opened, fault):
    changes, renamed, message = NO_MODEL[fault]
    metadata = {key: value for key, value in (TOLD | changes).items() if value is not None}
    tensors = [tensor.but(name=renamed.get(tensor.name, tensor.name)) for tensor in small()[1]]
    with pytest.raises(ValueError, match=message):
        own.llama_from_gguf(opened(metadata, tensors))
