"""An accelerator gives what the processor gives: layers, decoding, training, explanations. `make device` runs these tests.

They stand outside of `make test`, because most machines have no accelerator, and a test that is skipped tells nothing.
"""

import copy

import pytest
import torch
from contracts.test_explanations import FAMILY
from contracts.test_layers import CASES, input_for
from contracts.test_packed_layers import FAMILY as PACKINGS
from contracts.test_packed_layers import LAYERS
from explained_models import build
from torch import Tensor, nn
from torch.testing import assert_close

from lib.architectures import (
    EncoderDecoder,
    EncoderDecoderConfig,
    Transformer,
    TransformerConfig,
    beam_search,
    digit_cnn,
    generate,
    padding_mask,
)
from lib.compression import bytes_of
from lib.core import evaluate, fixed_seed, seeded, train

DEVICE = torch.accelerator.current_accelerator()
if DEVICE is None:
    pytest.exit("these tests need an accelerator, got none: torch.accelerator.is_available() must be True", 2)

# The matrix units of an accelerator add in another order, and convolutions may take another algorithm: both within float32's
# rounding over the sizes here, a few hundred summands. TF32, which rounds to 10 bits, is off.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture(autouse=True)
def full_precision():
    """Switch TF32 off in a test and afterwards back to what it was."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def moved(layer):
    """A copy on the accelerator; a function has nothing to move."""
    return copy.deepcopy(layer).to(DEVICE) if isinstance(layer, nn.Module) else layer


def values_and_gradients(layer, x: Tensor) -> list[Tensor]:
    x = x.detach().requires_grad_()
    y = layer(x)
    wanted = [x, *(layer.parameters() if isinstance(layer, nn.Module) else ())]
    weights = torch.linspace(-1, 1, y.numel(), device=y.device).reshape(y.shape)  # a plain sum hides what cancels
    return [y, *torch.autograd.grad((y * weights).sum(), wanted)]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_layers_have_the_same_values_and_gradients(case):
    with fixed_seed(0):
        layer = case.build()
    here = values_and_gradients(layer, input_for(case))
    there = values_and_gradients(moved(layer), input_for(case).to(DEVICE))
    assert {tensor.device.type for tensor in there} == {DEVICE.type}
    for ours, other in zip(here, there, strict=True):
        assert_close(other.cpu(), ours, **CLOSE)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_autocast_stays_near_full_precision(case, dtype):
    with fixed_seed(0):
        layer = moved(case.build())
    x = input_for(case).to(DEVICE)
    exact = layer(x)
    with torch.autocast(DEVICE.type, dtype=dtype):
        rounded = layer(x)
    # Each of a handful of products rounds to 8 (bfloat16) or 11 bits.
    assert_close(rounded.float(), exact, rtol=0.05, atol=0.05)


def language_model() -> Transformer:
    with fixed_seed(1):
        return Transformer(TransformerConfig(layers=2, width=32, heads=4, vocabulary=50, context=40)).eval()


@pytest.mark.parametrize("cached", [True, False])
def test_the_most_probable_continuation_is_the_same(cached):
    model, prompt = language_model(), torch.tensor([[3, 1, 4, 1], [5, 9, 2, 6]])
    here = generate(model, prompt, 30, cached=cached)
    there = generate(moved(model), prompt.to(DEVICE), 30, cached=cached)
    assert there.cpu().tolist() == here.tolist()


def test_drawn_continuations_come_from_a_generator_of_the_device():
    model, prompt = moved(language_model()), torch.tensor([[3, 1, 4]], device=DEVICE)
    draws = [generate(model, prompt, 20, generator=seeded(7, DEVICE), top_p=0.9) for _ in range(2)]
    assert draws[0].tolist() == draws[1].tolist()


def test_an_encoder_decoder_with_padding_is_the_same():
    with fixed_seed(2):
        config = EncoderDecoderConfig(2, width=32, heads=4, source_vocabulary=20, target_vocabulary=30, context=24)
        model = EncoderDecoder(config).eval()
    sources, lengths = torch.arange(12).reshape(2, 6) % 20, torch.tensor([6, 4])
    targets = torch.tensor([[1, 2, 3], [1, 7, 8]])
    there = moved(model)(sources.to(DEVICE), targets.to(DEVICE), lengths.to(DEVICE))
    assert_close(there.cpu(), model(sources, targets, lengths), **CLOSE)
    assert padding_mask(lengths.to(DEVICE), 6).tolist() == padding_mask(lengths, 6).tolist()


def test_beams_are_the_same():
    model, prompt = language_model(), torch.tensor([3, 1, 4])
    here, there = (
        beam_search(network, tokens, beams=3, end=0, longest=8)
        for network, tokens in ((model, prompt), (moved(model), prompt.to(DEVICE)))
    )
    assert [found.tolist() for found, _ in there] == [found.tolist() for found, _ in here]
    assert_close([score for _, score in there], [score for _, score in here], **CLOSE)


def test_a_few_steps_of_training_are_the_same():
    images, labels = torch.randn(128, 1, 28, 28, generator=seeded(0)), torch.arange(128) % 10
    losses = []
    for device in ("cpu", DEVICE):
        with fixed_seed(3):
            model = digit_cnn().to(device)
        history = train(
            model, images.to(device), labels.to(device), epochs=2, generator=seeded(4), progress=False, batch_size=32
        )
        assert evaluate(model, images.to(device), labels.to(device)).logits.device.type == torch.device(device).type
        losses.append(torch.tensor(history.train_loss))
    # Adam divides by the root of small squares, which enlarges rounding: eight steps stay within a thousandth.
    assert_close(*losses, rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, method in FAMILY.items() for kind in method.on], ids="-".join
)
def test_attributions_are_the_same(name, kind):
    # SmoothGrad draws its noise from a generator of the device, and so other noise.
    method = FAMILY[name]
    network, x, target = build(kind)
    with torch.backends.cudnn.flags(enabled=False, allow_tf32=False):  # its GRU has no backward pass in evaluation mode
        there = method.explain(*(thing.to(DEVICE) for thing in (copy.deepcopy(network), x, target)))
    here = method.explain(network, x, target)
    close = {"rtol": 1, "atol": float(here.abs().max())} if name == "smoothgrad" else {"rtol": 1e-3, "atol": 1e-4}
    assert_close(there.cpu(), here, **close)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("kind", PACKINGS)
def test_packed_layers_are_the_same_and_no_larger(kind, name):
    build_layer, shape = LAYERS[name]
    with fixed_seed(5):
        here = PACKINGS[kind](build_layer())
    there = moved(here)
    x = torch.randn(shape, generator=seeded(6))
    assert_close(there(x.to(DEVICE)).cpu(), here(x), **CLOSE)
    assert bytes_of(there) == bytes_of(here)
