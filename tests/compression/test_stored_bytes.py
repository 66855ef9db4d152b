"""Bytes of a model: beside the file that torch writes, and by hand."""

import io

import pytest
import torch
from torch import nn

from lib.compression import bytes_of


def saved(model) -> int:
    """Bytes of the tensors in the file that torch.save writes."""
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    reader = torch.PyTorchFileReader(io.BytesIO(file.getvalue()))
    return sum(len(reader.get_record(name)) for name in reader.get_all_records() if name.startswith("data/"))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight


class Views(nn.Module):
    """Two rows of a matrix of ten: torch saves the whole matrix."""

    def __init__(self):
        super().__init__()
        self.rows = nn.Parameter(torch.zeros(10, 4)[:2])
        self.register_buffer("more", self.rows.detach()[1:])


class Kinds(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("codes", torch.zeros(5, dtype=torch.uint8))
        self.register_buffer("scales", torch.zeros(3, dtype=torch.float16))
        self.register_buffer("mask", torch.zeros(9, dtype=torch.bool))
        self.register_buffer("table", torch.zeros(100), persistent=False)
        self.register_buffer("nothing", None)


@pytest.mark.equation("eq-model-bytes")
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (nn.Linear(3, 2), 4 * (6 + 2)),
        (nn.Linear(3, 2).double(), 8 * (6 + 2)),
        (nn.BatchNorm2d(4), 4 * 4 * 4 + 8),  # weight, bias, two running statistics, and a count in int64
        (Tied(), 4 * 28),
        (Views(), 4 * 40),
        (Kinds(), 5 + 6 + 9),
        (nn.ReLU(), 0),
    ],
    ids=["float32", "float64", "batch norm", "tied", "views", "small kinds, not saved", "nothing"],
)
def test_bytes_are_those_of_the_file(model, expected):
    assert bytes_of(model) == expected == saved(model)


def test_a_model_on_the_meta_device_is_counted_though_nothing_is_there():
    with torch.device("meta"):
        assert bytes_of(nn.Linear(3, 2)) == 32


@pytest.mark.bad_input
def test_a_state_dict_is_no_model():
    with pytest.raises(TypeError, match="model must be a Module, got OrderedDict"):
        bytes_of(nn.Linear(2, 2).state_dict())
