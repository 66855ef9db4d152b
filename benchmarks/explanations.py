"""Explanation methods beside Captum and pytorch-grad-cam, at equal or better accuracy, and beside the bare model calls."""

import sys
from collections.abc import Callable, Iterator
from unittest.mock import MagicMock, patch

import captum.attr
import torch
from sklearn.datasets import load_breast_cancer
from torch import Tensor, nn

from lib.core import fixed_seed, seeded, train
from lib.data import load_mnist
from lib.explanations import (
    grad_cam_map,
    guided_backprop,
    input_x_gradient,
    integrated_gradients,
    occlusion,
    saliency,
    smoothgrad,
)

from .harness import Row, Table, compare

LAST_MAPS = "4"  # the second ReLU of the convolutional network
SQUARES = {"window": (1, 4, 4), "stride": (1, 2, 2)}  # 169 windows on a digit


def tables(rounds: int) -> list[Table]:
    """A table for each method with a peer, then all methods beside the same number of bare model calls."""
    models = Models()
    return [
        _table("integrated-gradients", "Integrated Gradients, 50 nodes, against Captum", _path(models, rounds)),
        _table("smoothgrad", "SmoothGrad, 50 samples, against Captum's NoiseTunnel", _smooth(models, rounds)),
        _table("occlusion", "Occlusion, 169 windows on a digit, against Captum", _occlusion(models, rounds)),
        _table("grad-cam", "Grad-CAM, the last maps of a digit", _grad_cam(models, rounds)),
        _table("bare-calls", "Each method against the model calls alone", _bare(models, rounds)),
    ]


class Models:
    """Three small networks, trained for a few seconds on real data, and what they are asked about."""

    def __init__(self) -> None:
        mnist = load_mnist()
        cancer = load_breast_cancer()
        rows = torch.from_numpy(cancer.data).float()
        self.rows = (rows - rows.mean(0)) / rows.std(0)
        self.digits = mnist.test_images
        with fixed_seed(0):
            self.mlp = nn.Sequential(nn.Linear(30, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 2))
            self.cnn = nn.Sequential(
                *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
                *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
                *(nn.Flatten(), nn.Linear(1568, 28), nn.ReLU(), nn.Linear(28, 10)),
            )
            reader = LineReader()
        _fit(self.mlp, self.rows, torch.from_numpy(cancer.target).long(), epochs=40)
        _fit(self.cnn, mnist.train_images, mnist.train_labels, epochs=2)
        _fit(reader, mnist.train_images.squeeze(1), mnist.train_labels, epochs=3)
        # The transformer is explained by its 28 embedded tokens, one for each line of pixels.
        self.transformer = reader.read
        self.tokens = reader.embed(self.digits[:16].squeeze(1)).detach()


class LineReader(nn.Module):
    """A pre-norm transformer that reads a digit line by line.

    Its tokens start large and its places small, so that the first layer norm, at a baseline of zero, turns at once
    into the tokens' direction. Where places are as large as tokens that bend is gentle, and any nodes will do.
    """

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(28, 64, bias=False), nn.Linear(64, 10)
        nn.init.normal_(self.embed.weight, std=3.0)
        self.place = nn.Parameter(0.02 * torch.randn(28, 64))
        block = nn.TransformerEncoderLayer(
            64, 4, 128, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)

    def read(self, tokens: Tensor) -> Tensor:
        return self.head(self.blocks(tokens + self.place).mean(1))

    def forward(self, lines: Tensor) -> Tensor:
        return self.read(self.embed(lines))


def _fit(model, inputs, labels, *, epochs) -> None:
    train(model, inputs, labels, epochs=epochs, generator=seeded(0), learning_rate=3e-3, progress=False)
    model.eval()


def _path(models: Models, rounds: int) -> Iterator[Row]:
    # Before the target stands the power that places the nodes; cubed, they pay where layer norm meets a baseline of
    # zero. There the aim is half the error, and the time is that of the same number of calls.
    for name, model, inputs, power, target in [
        ("MLP, 1 row", models.mlp, models.rows[:1], 1, 1 / 1.7),
        ("MLP, 256 rows", models.mlp, models.rows[:256], 1, 1 / 4),
        ("CNN, 1 digit", models.cnn, models.digits[:1], 1, 1 / 0.9),
        ("CNN, 16 digits", models.cnn, models.digits[:16], 1, 1 / 1.4),
        ("transformer, 1 digit, nodes cubed", models.transformer, models.tokens[:1], 3, None),
        ("transformer, 16 digits, nodes cubed", models.transformer, models.tokens, 3, None),
    ]:
        classes = model(inputs).argmax(1)
        peer = captum.attr.IntegratedGradients(model)

        def ours(model=model, inputs=inputs, classes=classes, power=power):
            return integrated_gradients(model, inputs, classes, power=power, steps=50)

        def theirs(peer=peer, inputs=inputs, classes=classes):
            return peer.attribute(inputs, torch.zeros_like(inputs), target=classes, n_steps=50)

        # Twelve times as many nodes, near zero where the integrand bends most: both sides converge to it.
        truth = integrated_gradients(model, inputs[:4], classes[:4], power=3, steps=600)
        errors = tuple(_error(method()[:4], truth) for method in (ours, theirs))
        yield compare(name, ours, theirs, target=target, rounds=rounds, errors=errors)


def _smooth(models: Models, rounds: int) -> Iterator[Row]:
    for name, model, inputs in [
        ("MLP, 1 row", models.mlp, models.rows[:1]),
        ("MLP, 256 rows", models.mlp, models.rows[:256]),
        ("CNN, 1 digit", models.cnn, models.digits[:1]),
        ("CNN, 16 digits", models.cnn, models.digits[:16]),
    ]:
        classes = model(inputs).argmax(1)
        peer = captum.attr.NoiseTunnel(captum.attr.Saliency(model))
        generator = seeded(0)

        def ours(model=model, inputs=inputs, classes=classes, generator=generator):
            return smoothgrad(model, inputs, classes, generator=generator, noise=0.1, samples=50)

        def theirs(peer=peer, inputs=inputs, classes=classes):
            return peer.attribute(inputs, nt_type="smoothgrad", nt_samples=50, stdevs=0.1, target=classes, abs=False)

        truth = smoothgrad(model, inputs[:1], classes[:1], generator=seeded(1), noise=0.1, samples=20_000)
        with fixed_seed(2):  # NoiseTunnel draws from the default generator
            errors = tuple(sum(_error(method()[:1], truth) for _ in range(12)) / 12 for method in (ours, theirs))
        yield compare(name, ours, theirs, target=1.0, rounds=rounds, errors=errors)


def _occlusion(models: Models, rounds: int) -> Iterator[Row]:
    digit = models.digits[:1]
    target_class = models.cnn(digit).argmax(1)
    peer = captum.attr.Occlusion(models.cnn)

    def ours():
        return occlusion(models.cnn, digit, target_class, **SQUARES)

    truth = occlusion(models.cnn.double(), digit.double(), target_class, **SQUARES)
    models.cnn.float()
    for name, at_once, target in [
        ("Captum, one window a call", 1, 1 / 3.5),
        ("Captum, all windows in a call", 169, 1 / 1.1),
    ]:

        def theirs(at_once=at_once):
            return peer.attribute(
                digit, SQUARES["window"], SQUARES["stride"], 0, target_class, perturbations_per_eval=at_once
            )

        errors = (_error(ours(), truth), _error(theirs(), truth))
        yield compare(name, ours, theirs, target=target, rounds=rounds, errors=errors)


def _grad_cam(models: Models, rounds: int) -> Iterator[Row]:
    model = models.cnn
    for count in (1, 32):
        digits = models.digits[:count]
        classes = model(digits).argmax(1)
        peer = captum.attr.LayerGradCam(model, model.get_submodule(LAST_MAPS))
        peers = {"Captum": (lambda: peer.attribute(digits, classes, relu_attributions=True)[:, 0], 1 / 1.1)}  # noqa: B023
        if explain := _pytorch_grad_cam(model):
            peers["pytorch-grad-cam"] = (lambda: explain(digits, classes), 1 / 1.5)  # noqa: B023

        def ours(digits=digits, classes=classes):
            return grad_cam_map(model, digits, classes, layer=LAST_MAPS)

        truth = grad_cam_map(model.double(), digits.double(), classes, layer=LAST_MAPS)
        model.float()
        for name, (theirs, target) in peers.items():
            errors = (_error(ours(), truth), _error(theirs(), truth))
            yield compare(
                f"{name}, {count} digit{'s' if count > 1 else ''}",
                ours,
                theirs,
                target=target,
                rounds=rounds,
                errors=errors,
            )


def _pytorch_grad_cam(model: nn.Module) -> Callable | None:
    """Its Grad-CAM up to the maps themselves, or None where the package is missing.

    It imports image libraries that the book does without. They are stood in for during the import, and what needs them,
    the enlarging and rescaling of the maps, is left out: the peer is spared work, not given any.
    """
    absent = ("cv2", "ttach", "torchvision", "torchvision.transforms", "torchvision.transforms.functional")
    try:
        with patch.dict(sys.modules, {name: MagicMock() for name in absent if name not in sys.modules}):
            from pytorch_grad_cam import GradCAM, base_cam
            from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError as error:
        print(f"rows beside pytorch-grad-cam are left out: {error}")
        return None
    base_cam.scale_cam_image = lambda maps, target_size=None: maps
    peer = GradCAM(model, [model.get_submodule(LAST_MAPS)])

    def explain(images: Tensor, classes: Tensor) -> Tensor:
        return torch.from_numpy(peer(images, [ClassifierOutputTarget(int(index)) for index in classes]))

    return explain


def _bare(models: Models, rounds: int) -> Iterator[Row]:
    """What a method adds to the model's own work: as many examples forward (and backward), in calls of the same size."""
    cnn, digits, tokens = models.cnn, models.digits[:16], models.tokens
    classes = cnn(digits).argmax(1)
    generator = seeded(0)
    once = [(cnn, digits)]
    five_of_160 = [(cnn, digits.repeat(10, 1, 1, 1))] * 5  # 50 points of 16 digits
    # Noise costs the model itself: where pixels differ, max pooling and ReLU branch less predictably.
    noisy = digits.repeat(10, 1, 1, 1) + 0.1 * torch.randn(160, 1, 28, 28, generator=seeded(1))
    thirteen = [(models.transformer, tokens.repeat(4, 1, 1))] * 12 + [(models.transformer, tokens.repeat(2, 1, 1))]
    covered = [(cnn, digits[:1]), (cnn, digits[:1].repeat(167, 1, 1, 1)), (cnn, digits[:2])]
    explained = (cnn, digits, classes)
    for name, ours, bare in [
        ("saliency, 16 digits", lambda: saliency(*explained), lambda: _forward_and_backward(once)),
        ("input × gradient, 16 digits", lambda: input_x_gradient(*explained), lambda: _forward_and_backward(once)),
        ("guided backprop, 16 digits", lambda: guided_backprop(*explained), lambda: _forward_and_backward(once)),
        (
            "SmoothGrad, 50 samples, 16 digits",
            lambda: smoothgrad(*explained, generator=generator, samples=50),
            lambda: _forward_and_backward([(cnn, noisy)] * 5),
        ),
        (
            "Integrated Gradients, 50 nodes, 16 digits",
            lambda: integrated_gradients(*explained, steps=50),
            lambda: _forward_and_backward(five_of_160),
        ),
        (
            "Integrated Gradients, 50 nodes, transformer, 16",
            lambda: integrated_gradients(models.transformer, tokens, classes, steps=50),
            lambda: _forward_and_backward(thirteen),
        ),
        (
            "occlusion, 169 windows, 1 digit",
            lambda: occlusion(cnn, digits[:1], classes[:1], **SQUARES),
            lambda: _forward(covered),
        ),
        (
            "Grad-CAM, 16 digits",
            lambda: grad_cam_map(*explained, layer=LAST_MAPS),
            lambda: _back_to_the_maps(cnn, digits),
        ),
    ]:
        yield compare(name, ours, bare, target=1.15, rounds=rounds)


@torch.no_grad()
def _forward(calls) -> None:
    for model, inputs in calls:
        model(inputs)


def _forward_and_backward(calls) -> None:
    for model, inputs in calls:
        inputs = inputs.detach().requires_grad_()
        torch.autograd.grad(model(inputs)[:, 0].sum(), inputs)


def _back_to_the_maps(model, inputs) -> None:
    depth = int(LAST_MAPS) + 1
    maps = model[:depth](inputs)
    torch.autograd.grad(model[depth:](maps)[:, 0].sum(), maps)


def _error(found: Tensor, truth: Tensor) -> float:
    """Distance from what is known better, as a share of its length."""
    return ((found.detach() - truth).norm() / truth.norm()).item()


def _table(key: str, title: str, rows: Iterator[Row]) -> Table:
    return Table(key, title, tuple(rows))
