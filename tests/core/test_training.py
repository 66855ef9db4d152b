"""The training loop does gradient descent, records what happened, and leaves no trace."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lib.core import evaluate, fixed_seed, seeded, train


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


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"inputs": torch.zeros(0, 2)}, r"inputs must hold at least one element, got shape \(0, 2\)"),
        ({"labels": torch.zeros(3).long()}, "inputs and labels must have the same length, got inputs 200, labels 3"),
    ],
)
def test_bad_input_is_refused(change, message):
    inputs, labels = two_blobs()
    arguments = {"inputs": inputs, "labels": labels, "epochs": 1, "generator": seeded(0)} | change
    with pytest.raises(ValueError, match=message):
        train(classifier(), **arguments)


def test_progress_goes_to_stderr_only_when_asked(capsys):
    inputs, labels = two_blobs()
    for progress in (True, False):
        train(classifier(), inputs, labels, epochs=1, generator=seeded(0), progress=progress)
        captured = capsys.readouterr()
        assert captured.out == ""
        assert ("epoch" in captured.err) == progress


def test_the_environment_can_switch_progress_off():
    # tqdm reads its variables when it is imported, so this takes a process of its own.
    program = (
        "import torch; from lib.core import seeded, train; "
        "train(torch.nn.Linear(2, 2), torch.zeros(4, 2), torch.zeros(4).long(), epochs=1, generator=seeded(0))"
    )
    unset = {name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"}
    for environment, silent in ((unset | {"TQDM_DISABLE": "1"}, True), (unset, False)):
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert (run.stderr == "") == silent
