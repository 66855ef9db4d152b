"""Distillation: the loss by hand and by its gradient, and that the teacher teaches and stays as it is."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lib.compression import distil, distillation_loss

GENERATOR = torch.Generator().manual_seed(0)
STUDENT, TEACHER = (
    torch.randn(7, 5, dtype=torch.float64, generator=GENERATOR),
    torch.randn(7, 5, dtype=torch.float64, generator=GENERATOR),
)
LABELS = torch.tensor([0, 4, 2, 1, 3, 3, 0])


@pytest.mark.equation("eq-distillation-loss")
@pytest.mark.parametrize(("temperature", "soft_share"), [(1.0, 0.3), (4.0, 0.9), (2.5, 1.0), (3.0, 0.0)])
def test_the_loss_is_the_formula(temperature, soft_share):
    p, q = (STUDENT / temperature).softmax(1), (TEACHER / temperature).softmax(1)
    divergence = (q * (q.log() - p.log())).sum(1).mean()  # over classes the sum, over examples the mean
    expected = (1 - soft_share) * F.cross_entropy(STUDENT, LABELS) + soft_share * temperature**2 * divergence
    loss = distillation_loss(STUDENT, TEACHER, LABELS, temperature=temperature, soft_share=soft_share)
    torch.testing.assert_close(loss, expected)


def test_at_a_high_temperature_the_gradient_is_the_difference_of_centred_logits():
    """Hinton et al. 2015, eq. 4: T² times 1/(N T²) (z − v), for logits of mean zero."""
    student, teacher = (logits - logits.mean(1, keepdim=True) for logits in (STUDENT, TEACHER))
    student.requires_grad_()
    distillation_loss(student, teacher, LABELS, temperature=1e4, soft_share=1.0).backward()
    torch.testing.assert_close(student.grad, (student.detach() - teacher) / 5 / 7, rtol=1e-3, atol=1e-4)


def test_the_teacher_changes_the_gradient_and_gets_none():
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    distillation_loss(student, teacher, LABELS).backward()
    other = STUDENT.clone().requires_grad_()
    distillation_loss(other, TEACHER.flip(1), LABELS).backward()
    assert teacher.grad is None
    assert (student.grad - other.grad).abs().max() > 0.01


def test_positions_without_a_label_do_not_count():
    tokens = (STUDENT.view(1, 7, 5), TEACHER.view(1, 7, 5), torch.where(torch.arange(7) < 3, LABELS, -100)[None])
    torch.testing.assert_close(distillation_loss(*tokens), distillation_loss(STUDENT[:3], TEACHER[:3], LABELS[:3]))


def pair():
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Linear(6, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 3))
    return nn.Linear(6, 3), teacher


X = torch.randn(60, 6, generator=GENERATOR)
Y = torch.randint(0, 3, (60,), generator=GENERATOR)
OPTIONS = {"epochs": 20, "learning_rate": 0.02, "progress": False}


def test_a_student_comes_to_its_teacher_whichever_way_the_data_come():
    distances = []
    for data in ((X, Y), (list(zip(X.split(20), Y.split(20), strict=True)),)):
        student, teacher = pair()
        state = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
        shuffled = {"generator": torch.Generator().manual_seed(0)} if len(data) == 2 else {}
        with torch.no_grad():
            before = (student(X).softmax(1) - teacher.eval()(X).softmax(1)).abs().mean()
        teacher.train()
        history = distil(student, teacher, *data, soft_share=1.0, **OPTIONS, **shuffled)
        assert len(history.train_loss) == 20
        assert all(module.training for module in teacher.modules())
        assert all(torch.equal(state[name], tensor) for name, tensor in teacher.state_dict().items())  # also its counts
        with torch.no_grad():
            after = (student(X).softmax(1) - teacher.eval()(X).softmax(1)).abs().mean()
        distances.append((before, after))
    assert all(
        after < 0.5 * before for before, after in distances
    )  # a linear map cannot follow the teacher all the way


def test_without_a_soft_share_the_teacher_teaches_nothing():
    students = []
    for flip in (False, True):
        student, teacher = pair()
        if flip:
            teacher[4].weight.data.neg_()
        distil(student, teacher, X, Y, soft_share=0.0, generator=torch.Generator().manual_seed(0), **OPTIONS)
        students.append(student)
    assert torch.equal(students[0].weight, students[1].weight)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"temperature": 0.0}, ValueError, "temperature must be positive and finite, got 0.0"),
        ({"soft_share": 1.2}, ValueError, "soft_share must be from 0 to 1, got 1.2"),
        ({"labels": Y[:50]}, ValueError, "inputs and labels must agree on examples, got 60 and 50"),
        ({"labels": Y + 1}, ValueError, "labels must lie in 0 … 2, the classes, got 3"),
        # One row of sixty: the first batches do not hold it.
        ({"labels": torch.cat([Y[:-1], torch.tensor([3])]), "batch_size": 10}, ValueError, "labels must lie in 0 … 2, the classes, got 3"),
        ({"labels": None}, TypeError, "inputs and labels must both be tensors"),
        ({"teacher": nn.Linear(6, 4)}, ValueError, "student and teacher must agree on classes, got 3 and 4"),
        ({"teacher": lambda x: x}, TypeError, "teacher must be a Module, got function"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
        ({"generator": None}, TypeError, "generator must be a torch.Generator"),
        ({"inputs": [X], "labels": None}, TypeError, "each batch must be a pair of tensors (inputs, labels), got Tensor"),
        ({"inputs": X * float("nan")}, ValueError, "teacher must be finite, got nan"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_and_the_student_stays_as_it_was(changes, error, message):
    student, _ = pair()
    before = student.weight.clone()
    arguments = {
        "teacher": nn.Linear(6, 3),
        "inputs": X,
        "labels": Y,
        "generator": torch.Generator(),
        **OPTIONS,
    } | changes
    if not isinstance(arguments["inputs"], torch.Tensor):
        arguments["generator"] = None
    with pytest.raises(error, match=re.escape(message)):
        distil(student, arguments.pop("teacher"), arguments.pop("inputs"), arguments.pop("labels"), **arguments)
    assert torch.equal(student.weight, before)


@pytest.mark.bad_input
def test_a_student_that_is_its_teacher_and_labels_that_leave_nothing_are_refused():
    student, _ = pair()
    with pytest.raises(ValueError, match="student and teacher must share no parameter, got 2 in common"):
        distil(student, student, X, Y, generator=torch.Generator(), **OPTIONS)
    with pytest.raises(ValueError, match="labels must hold one that counts, got 7 of -100"):
        distillation_loss(STUDENT, TEACHER, torch.full((7,), -100))
    with pytest.raises(TypeError, match="student and teacher must have the same dtype"):
        distillation_loss(STUDENT.float(), TEACHER, LABELS)
