"""What a compressed layer costs in time: beside the dense layer that it stands for."""

from collections.abc import Iterator

import torch

from lib.architectures import Linear
from lib.compression import LoRA, SparseLayer, int8_dynamic, low_rank, weight_only
from lib.core.sampling import fixed_seed

from .harness import Row, Table, compare

# rows, features: one token of a language model of width 1024, and a batch of tokens.
SIZES = [(1, 1024), (64, 1024)]


def tables(rounds: int) -> list[Table]:
    """A forward pass of one layer in each form, against the same layer as it was."""
    return [
        Table("lora", "a layer with LoRA of rank 8, forward, against the layer without", tuple(_lora(rounds))),
        Table("int8", "an int8 product, its input rounded at each call, against float32", tuple(_int8(rounds))),
        Table("forms", "a layer in another form, forward, against its dense weight", tuple(_forms(rounds))),
    ]


def _layer(features: int) -> Linear:
    with fixed_seed(0):
        return Linear(features, features)


def _lora(rounds: int) -> Iterator[Row]:
    for rows, features in SIZES:
        adapted = LoRA(_layer(features), rank=8)
        torch.nn.init.normal_(adapted.up)
        # What is merged is one matrix again; the target is its own speed, within what a timing can tell.
        yield _row(f"merged, {rows}×{features}", adapted.merged(), rows, rounds, target=1.1)
        yield _row(f"unmerged, {rows}×{features}", adapted, rows, rounds)


def _int8(rounds: int) -> Iterator[Row]:
    for rows, target in [(1, None), (64, 1 / 1.8), (256, 1 / 1.8)]:
        layer = _layer(1024)
        form, x = int8_dynamic(layer), _inputs(rows)
        with torch.no_grad():
            error = ((form(x) - layer(x)).norm() / layer(x).norm()).item()
        yield _row(f"{rows}×1024", form, rows, rounds, target=target, errors=(error, 0.0))


def _forms(rounds: int) -> Iterator[Row]:
    for rows, features in SIZES:
        layer = _layer(features)
        halved = _layer(features)
        halved.weight.data[halved.weight.data.abs() < halved.weight.data.abs().median()] = 0
        yield _row(f"half zero, stored dense, {rows}×{features}", halved, rows, rounds)
        yield _row(f"half zero, bitmap and values, {rows}×{features}", SparseLayer(halved), rows, rounds)
        yield _row(f"rank {features // 8}, {rows}×{features}", low_rank(layer, features // 8), rows, rounds)
        yield _row(f"weight of 8 bits, {rows}×{features}", weight_only(layer, 8), rows, rounds)
        yield _row(f"weight of 4 bits, {rows}×{features}", weight_only(layer, 4, per=32), rows, rounds)


def _inputs(rows: int) -> torch.Tensor:
    with fixed_seed(1):
        return torch.randn(rows, SIZES[0][1])


def _row(
    name: str,
    form: torch.nn.Module,
    rows: int,
    rounds: int,
    target: float | None = None,
    errors: tuple[float, float] | None = None,
) -> Row:
    dense, x = _layer(SIZES[0][1]), _inputs(rows)
    with torch.no_grad():
        return compare(name, lambda: form(x), lambda: dense(x), target=target, rounds=rounds, errors=errors)
