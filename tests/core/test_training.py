"""The training loop does gradient descent, records what happened, and leaves no trace."""

import importlib
import math
import re
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lib.core import evaluate, fixed_seed, seeded, train, training


def two_blobs(n=200):
    labels = torch.arange(n) % 2
    return torch.randn(n, 2, generator=seeded(0)) + 4.0 * labels[:, None], labels


def classifier():
    with fixed_seed(0):
        return nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.0), nn.ReLU(), nn.Linear(8, 2))


def test_one_epoch_of_one_batch_is_one_step_of_the_optimizer():
    inputs, labels = two_blobs()
    ours, by_hand = nn.Linear(2, 2), nn.Linear(2, 2)
    by_hand.load_state_dict(ours.state_dict())
    history = train(
        ours, inputs, labels, epochs=1, batch_size=len(inputs), generator=seeded(0),
        optimizer=torch.optim.SGD(ours.parameters(), lr=0.1), progress=False,
    )  # fmt: skip
    loss = F.cross_entropy(by_hand(inputs), labels)
    loss.backward()
    for mine, other in zip(ours.parameters(), by_hand.parameters(), strict=True):
        # The batch is shuffled, so the same numbers are summed in another order.
        torch.testing.assert_close(mine, other - 0.1 * other.grad)
    assert history.train_loss == pytest.approx([loss.item()])


def test_training_repeats_and_separates_what_can_be_separated():
    inputs, labels = two_blobs()
    runs = []
    for _ in range(2):
        model = classifier()
        runs.append(
            train(
                model,
                inputs,
                labels,
                epochs=8,
                learning_rate=0.02,
                generator=seeded(1),
                validation=(inputs, labels),
                progress=False,
            )
        )
    assert runs[0] == runs[1]
    # Blobs four standard deviations apart overlap in 2.3 % of the plane at most.
    assert runs[0].validation_accuracy[-1] > 0.97
    assert runs[0].train_loss[-1] < 0.3 * runs[0].train_loss[0]
    assert {len(values) for values in vars(runs[0]).values()} == {8}


def test_evaluation_is_the_mean_over_all_examples_whatever_the_batches():
    inputs, labels = two_blobs()
    model = classifier()
    results = [evaluate(model, inputs, labels, batch_size=size) for size in (7, 1000)]
    expected = F.cross_entropy(model(inputs), labels).item()
    for result in results:
        assert result.loss == pytest.approx(expected, rel=1e-5)
        assert result.accuracy == (model(inputs).argmax(1) == labels).double().mean().item()


def test_an_example_counts_once_in_the_history_even_in_a_short_last_batch():
    inputs, labels = two_blobs(n=10)
    model = nn.Linear(2, 2)
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    history = train(
        model, inputs, labels, epochs=1, batch_size=8, optimizer=frozen, generator=seeded(0), progress=False
    )
    assert history.train_loss[0] == pytest.approx(evaluate(model, inputs, labels).loss, rel=1e-5)


@pytest.mark.parametrize("fails", [False, True])
def test_every_modules_mode_is_as_before(fails):
    inputs, labels = two_blobs()
    model = classifier().train()
    model[1].eval()  # a frozen layer inside a model in training
    if fails:
        inputs = inputs * float("nan")
    try:
        evaluate(model, inputs, labels)
        train(model, inputs, labels, epochs=1, generator=seeded(0), progress=False)
    except ValueError:
        assert fails
    assert model.training
    assert not model[1].training


def test_a_loss_that_is_not_finite_stops_before_the_weights_are_spoilt():
    inputs, labels = two_blobs()
    inputs[3, 0] = float("nan")
    model = classifier()
    with pytest.raises(ValueError, match=r"loss became nan in epoch 1, step \d+; it must stay finite"):
        train(model, inputs, labels, epochs=1, generator=seeded(0), progress=False)
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def adam(network, **options):
    return torch.optim.Adam(network.parameters(), **options)


X, Y = two_blobs(8)
SHARES = F.one_hot(Y).float()
REFUSED = {
    "epochs must be at least 1, got 0": {"epochs": 0},
    "batch_size must be at least 1, got 0": {"batch_size": 0},
    "learning_rate must be positive and finite, got inf": {"learning_rate": float("inf")},
    "learning_rate must be positive and finite, got 0": {"learning_rate": 0},
    "inputs must hold at least one element along examples, got shape (0, 2)": {"inputs": X[:0]},
    "inputs must be a torch.Tensor or iterable, got float": {"inputs": 1.0},
    "inputs and labels must agree on examples, got 8 and 3": {"labels": Y[:3]},
    "inputs and labels must both be tensors, or labels left out": {"labels": None},
    "generator must be a torch.Generator, which shuffles the examples, got None": {"generator": None},
    "batches come cut and shuffled: batch_size and generator must be left out": {"inputs": [(X, Y)], "labels": None},
    "each batch must be a pair of tensors (inputs, labels), got Tensor": {
        "inputs": [X, X, X], "labels": None, "generator": None},
    "batches must hold a label that counts, got none in epoch 1": {"inputs": [], "labels": None, "generator": None},
    "the optimizer has its own learning rate: give one of the two, got learning_rate=0.1": {
        "optimizer": adam, "learning_rate": 0.1},
    "the optimizer must hold parameters of this model, got another one, of shape (2, 2)": {
        "optimizer": lambda _: adam(nn.Linear(2, 2))},
    "the model must have a parameter that requires a gradient, got none": {"model": nn.ReLU()},
    "labels must lie in 0 … 1, the 2 classes, got 2": {"labels": Y + 1},
    "labels must lie in 0 … 1, the 2 classes, got -1": {"labels": Y - 1},
    "labels must be 8 class numbers, or probabilities of shape (8, 2), got torch.int64 of shape (8, 1)": {
        "labels": Y[:, None]},
    "labels must be a tensor of indices of dtype torch.int64, got torch.float32": {"labels": Y.float()},
    "labels that are probabilities must be at least 0 and sum to 1": {"labels": 2 * SHARES},
    "must be at least 0 and sum to 1": {"labels": 3 * SHARES - 1},
    "the model's outputs must be logits of shape (examples, classes), got torch.float32 of shape (8,)": {
        "model": nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))},
    "loss must return one number for a batch, got shape (8, 2)": {"loss": lambda outputs, labels: outputs},
    "loss must return one number for a batch, got float": {"loss": lambda outputs, labels: 1.0},
    "inputs and labels must agree on examples, got 8 and 2": {"validation": (X, Y[:2])},
}  # fmt: skip


@pytest.mark.bad_input
@pytest.mark.parametrize("message", REFUSED)
def test_bad_input_is_refused_before_the_weights_change(message):
    arguments = {"model": nn.Linear(2, 2), "inputs": X, "labels": Y, "epochs": 1, "generator": seeded(0)}
    arguments |= REFUSED[message] | {"progress": False}
    model = arguments["model"]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    if "optimizer" in arguments:
        arguments["optimizer"] = arguments["optimizer"](model)
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        train(**arguments)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        (nn.Identity(), ([],), "batches must hold at least one pair of inputs and labels, got none"),
        (nn.Identity(), (X.log(), Y), "the model's outputs must not be NaN, got"),
        (nn.Identity(), (X, Y + 1), "labels must lie in 0 … 1, the 2 classes, got 2"),
        (nn.Identity(), (X, Y[:, None]), "labels must be 8 class numbers"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(model, data, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        evaluate(model, *data)


class Fixed(nn.Module):
    """Returns its inputs, times a weight of 1 that a step may change."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.scale * x


def test_an_ignored_label_counts_neither_in_the_loss_nor_in_the_accuracy():
    logits = torch.tensor([[3.0, 0.0], [3.0, 0.0], [0.0, 3.0], [3.0, 0.0]])
    labels = torch.tensor([0, -100, 1, 1])
    seen = torch.tensor([0, 2, 3])
    expected = F.cross_entropy(logits[seen], labels[seen]).item()
    result = evaluate(Fixed(), logits, labels)
    assert (result.loss, result.accuracy) == (pytest.approx(expected), pytest.approx(2 / 3))
    history = train(Fixed(), logits, labels, epochs=1, batch_size=4, generator=seeded(0), progress=False)
    assert history.train_loss == pytest.approx([expected])
    assert history.train_accuracy == pytest.approx([2 / 3])
    # A batch in which none counts adds nothing.
    batches = [(logits[1:2], labels[1:2]), (logits[seen], labels[seen])]
    assert train(Fixed(), batches, epochs=1, progress=False).train_loss == pytest.approx([expected], rel=1e-2)
    assert math.isnan(evaluate(Fixed(), logits[1:2], labels[1:2]).accuracy)


def test_probabilities_may_be_labels_and_the_most_probable_class_is_the_right_one():
    logits = torch.tensor([[3.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    labels = torch.tensor([[0.8, 0.1, 0.1], [0.5, 0.2, 0.3], [0.0, 0.0, 1.0]])
    result = evaluate(Fixed(), logits, labels)
    assert result.accuracy == pytest.approx(2 / 3)
    assert result.loss == pytest.approx(-(labels * logits.log_softmax(1)).sum(1).mean().item())
    history = train(Fixed(), logits, labels, epochs=1, generator=seeded(0), progress=False)
    assert history.train_accuracy == pytest.approx([2 / 3])


def test_a_loss_of_ones_own_is_minimised():
    inputs = torch.linspace(-1, 1, 20)[:, None]
    model = nn.Linear(1, 1)
    history = train(
        model, inputs, 3 * inputs + 1, epochs=100, batch_size=20, learning_rate=0.1, loss=F.mse_loss,
        validation=(inputs, 3 * inputs + 1), generator=seeded(0), progress=False,
    )  # fmt: skip
    assert model.weight.item() == pytest.approx(3, abs=0.1)  # the last of a hundred steps down a parabola
    assert history.validation_loss[-1] == pytest.approx(F.mse_loss(model(inputs), 3 * inputs + 1).item())
    assert math.isnan(history.train_accuracy[-1])  # there are no classes


def test_a_loss_over_positions_has_an_accuracy_over_positions():
    tokens = torch.tensor([[0, 1, 2], [2, 1, 0]])
    labels = torch.tensor([[0, 1, 1], [2, -100, 1]])
    model = nn.Embedding(3, 3)
    model.weight.data = 5 * torch.eye(3)

    def loss(logits, labels):
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())

    result = evaluate(model, tokens, labels, loss=loss)
    assert result.accuracy == pytest.approx(3 / 5)
    assert result.loss == pytest.approx(loss(model(tokens), labels).item())


def test_batches_are_the_tensors_cut_by_somebody_else():
    by_tensor, by_batch = nn.Linear(2, 2), nn.Linear(2, 2)
    by_batch.load_state_dict(by_tensor.state_dict())
    order = torch.randperm(len(X), generator=seeded(0))
    batches = [(X[rows], Y[rows]) for rows in order.split(3)]
    histories = [
        train(by_tensor, X, Y, epochs=1, batch_size=3, generator=seeded(0), validation=(X, Y), progress=False),
        train(by_batch, batches, epochs=1, validation=batches, progress=False),
    ]
    assert histories[0].train_loss == histories[1].train_loss
    assert histories[0].validation_loss == pytest.approx(histories[1].validation_loss)
    assert all(torch.equal(a, b) for a, b in zip(by_tensor.parameters(), by_batch.parameters(), strict=True))
    assert evaluate(by_batch, batches).accuracy == evaluate(by_batch, X, Y).accuracy


def test_defaults_are_batches_of_64_and_adam_at_one_thousandth():
    inputs, labels = two_blobs(130)
    sizes, models = [], [classifier(), classifier()]
    models[0].register_forward_hook(lambda _model, arguments, _output: sizes.append(len(arguments[0])))
    train(models[0], inputs, labels, epochs=1, generator=seeded(0), progress=False)
    assert sizes == [64, 64, 2]
    train(
        models[1], inputs, labels, epochs=1, batch_size=64, generator=seeded(0), progress=False,
        optimizer=adam(models[1], lr=1e-3),
    )  # fmt: skip
    assert all(torch.equal(a, b) for a, b in zip(*(model.parameters() for model in models), strict=True))


def test_without_validation_nothing_is_validated():
    history = train(nn.Linear(2, 2), X, Y, epochs=2, generator=seeded(0), progress=False)
    assert (history.validation_loss, history.validation_accuracy) == ([], [])
    assert (len(history.train_loss), len(history.train_accuracy)) == (2, 2)


def test_evaluation_goes_through_256_examples_at_a_time():
    sizes = []
    model = nn.Linear(2, 2)
    model.register_forward_hook(lambda _model, arguments, _output: sizes.append(len(arguments[0])))
    evaluate(model, *two_blobs(600))
    assert sizes == [256, 256, 88]


def test_frozen_modules_stay_frozen_while_the_others_train():
    model = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2), nn.Linear(2, 2)).train()
    model[0].eval()
    modes = []
    model[2].register_forward_hook(lambda *_: modes.append([module.training for module in model]))
    train(model, X, Y, epochs=2, validation=(X, Y), generator=seeded(0), progress=False)
    assert modes == [[False, True, True], [False, False, False]] * 2
    assert not model[0].running_mean.any()
    assert model[1].running_mean.any()
    # A model that is in evaluation mode as a whole is trained as a whole.
    train(model.eval(), X, Y, epochs=1, generator=seeded(0), progress=False)
    assert modes[-1] == [True, True, True]
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_gradients_are_switched_on_for_a_caller_who_has_switched_them_off(off):
    models = [classifier(), classifier()]
    train(models[0], X, Y, epochs=2, generator=seeded(0), progress=False)
    with off():
        train(models[1], X.clone(), Y.clone(), epochs=2, generator=seeded(0), progress=False)
        assert not torch.is_grad_enabled()
    assert all(torch.equal(a, b) for a, b in zip(*(model.parameters() for model in models), strict=True))


def test_a_last_batch_of_one_is_named_before_the_work():
    inputs, labels = two_blobs(9)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(
        ValueError, match="the last batch would hold one example, which a layer cannot take; change batch_"
    ):
        train(model, inputs, labels, epochs=1, batch_size=4, generator=seeded(0), progress=False)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    # What can be trained with one example is: frozen counts, or several pixels of one image.
    model[1].eval()
    train(model, inputs, labels, epochs=1, batch_size=4, generator=seeded(0), progress=False)
    pictures = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4, 2))
    train(pictures, torch.randn(9, 1, 2, 2), labels, epochs=1, batch_size=4, generator=seeded(0), progress=False)
    assert pictures[0].num_batches_tracked == 3  # the trial was not counted


def test_training_goes_on_from_saved_states_as_if_it_had_not_stopped(tmp_path):
    inputs, labels = two_blobs(50)

    def network():
        with fixed_seed(0):
            return nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 2))

    def go_on(model, optimizer, generator, epochs):
        return train(model, inputs, labels, epochs=epochs, optimizer=optimizer, generator=generator, progress=False)

    with fixed_seed(1):
        whole = network()
        history = go_on(whole, adam(whole), seeded(0), 4)
    with fixed_seed(1):
        first, generator = network(), seeded(0)
        optimizer = adam(first)
        losses = go_on(first, optimizer, generator, 2).train_loss
        states = [first.state_dict(), optimizer.state_dict(), generator.get_state(), torch.get_rng_state()]
        torch.save(states, tmp_path / "half way.pt")
    with fixed_seed(2):
        model, of_optimizer, of_generator, of_torch = torch.load(tmp_path / "half way.pt")
        second, generator = network(), torch.Generator()
        second.load_state_dict(model)
        optimizer = adam(second)
        optimizer.load_state_dict(of_optimizer)
        generator.set_state(of_generator)
        torch.set_rng_state(of_torch)
        losses += go_on(second, optimizer, generator, 2).train_loss
    assert losses == history.train_loss
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True))


def test_progress_goes_to_stderr_only_when_asked(capsys):
    inputs, labels = two_blobs()
    for progress in (True, False):
        train(classifier(), inputs, labels, epochs=1, generator=seeded(0), progress=progress)
        captured = capsys.readouterr()
        assert captured.out == ""
        assert ("epoch" in captured.err) == progress


@pytest.mark.parametrize("variable", ["", "1"])
def test_the_environment_can_switch_progress_off(variable, monkeypatch, capsys):
    # tqdm reads its variables when it is imported: it is imported anew here, and so is the module that has it.
    monkeypatch.setenv("TQDM_DISABLE", variable)
    for name in [name for name in sys.modules if name.split(".")[0] == "tqdm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(training, "tqdm", importlib.import_module("tqdm").tqdm)
    training.train(nn.Linear(2, 2), torch.zeros(4, 2), torch.zeros(4).long(), epochs=1, generator=seeded(0))
    assert ("epoch" in capsys.readouterr().err) == (variable == "")
