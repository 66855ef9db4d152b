"""Recurrent networks: torch's own answers for every combination, and what holds for sequences of different lengths."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.testing import assert_close

from lib.architectures import GRU, LSTM, RNN, JordanRNN
from lib.core import seeded

PAIRS = {"RNN": (RNN, nn.RNN), "LSTM": (LSTM, nn.LSTM), "GRU": (GRU, nn.GRU)}
every_kind = pytest.mark.parametrize("kind", PAIRS)
LENGTHS = torch.tensor([3, 6, 1, 4])


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def both(kind, **options):
    """Ours and torch's, with the weights of torch's, in float64."""
    ours, torchs = PAIRS[kind]
    a = ours(3, 4, **options).double()
    b = torchs(3, 4, options.pop("layers", 1), **options, batch_first=True).double()
    a.load_state_dict(b.state_dict())
    return a, b


def sequences(dtype=torch.float64, batch=4):
    return torch.randn(batch, 6, 3, generator=seeded(0), dtype=dtype)


@pytest.mark.equation("eq-elman")
@pytest.mark.equation("eq-lstm")
@pytest.mark.equation("eq-gru")
@every_kind
@pytest.mark.parametrize(("layers", "bidirectional", "bias"), itertools.product((1, 3), (False, True), (False, True)))
def test_outputs_states_and_gradients_are_torchs(kind, layers, bidirectional, bias):
    a, b = both(kind, layers=layers, bidirectional=bidirectional, bias=bias)
    count = layers * (2 if bidirectional else 1)
    first = tuple(
        torch.randn(count, 4, 4, generator=seeded(i), dtype=torch.float64) for i in range(len(parts(a(sequences())[1])))
    )
    first = first if len(first) > 1 else first[0]
    for lengths in (None, LENGTHS):
        x, y = sequences().requires_grad_(), sequences().requires_grad_()
        outputs, state = a(x, lengths, first)
        packed = y if lengths is None else pack_padded_sequence(y, lengths, batch_first=True, enforce_sorted=False)
        expected, expected_state = b(packed, first)
        if lengths is not None:
            expected, _ = pad_packed_sequence(expected, batch_first=True, total_length=6)
        assert_close(outputs, expected)
        assert_close(parts(state), parts(expected_state))
        a.zero_grad(), b.zero_grad()
        for result, end in ((outputs, state), (expected, expected_state)):
            (result.sin().sum() + sum(part.cos().sum() for part in parts(end))).backward()
        assert_close(x.grad, y.grad)
        assert_close([w.grad for w in a.parameters()], [w.grad for w in b.parameters()])


@every_kind
def test_the_same_seed_gives_the_layer_of_torch_and_its_state_dict(kind):
    ours, torchs = PAIRS[kind]
    torch.manual_seed(5)
    a = ours(3, 4, layers=2, bidirectional=True).state_dict()
    torch.manual_seed(5)
    b = torchs(3, 4, 2, bidirectional=True)
    assert list(a) == list(b.state_dict())
    assert_close(a, dict(b.state_dict()), rtol=0, atol=0)
    b.load_state_dict(a)


def test_rectified_states_are_torchs():
    a, b = both("RNN", nonlinearity="relu")
    assert_close(a(sequences())[0], b(sequences())[0])


@every_kind
def test_what_stands_in_the_padding_changes_nothing(kind):
    a, _ = both(kind, layers=2, bidirectional=True)
    x = sequences().requires_grad_()
    outputs, state = a(x, LENGTHS)
    padding = torch.arange(6) >= LENGTHS[:, None]
    other, other_state = a(x.detach().masked_fill(padding[..., None], torch.inf), LENGTHS)
    assert_close(other, outputs, rtol=0, atol=0)
    assert_close(other_state, state, rtol=0, atol=0)
    assert (outputs[padding] == 0).all()
    (gradient,) = torch.autograd.grad(outputs.sin().sum(), x)
    assert (gradient[padding] == 0).all()
    assert (gradient[~padding] != 0).all()


@every_kind
def test_a_batch_is_its_sequences_one_at_a_time(kind):
    a, _ = both(kind, layers=2, bidirectional=True)
    x = sequences()
    outputs, state = a(x, LENGTHS)
    for i, length in enumerate(LENGTHS):
        alone, end = a(x[i : i + 1, :length])
        assert_close(outputs[i : i + 1, :length], alone)
        assert_close([part[:, i : i + 1] for part in parts(state)], list(parts(end)))


@every_kind
def test_a_sequence_may_come_in_pieces(kind):
    a, _ = both(kind, layers=2)
    x = sequences()
    whole, end = a(x)
    first, state = a(x[:, :2])
    second, last = a(x[:, 2:], state=state)
    assert_close(torch.cat([first, second], 1), whole)
    assert_close(last, end)


@every_kind
def test_an_output_depends_on_what_came_before_it_alone(kind):
    a, _ = both(kind)
    x = sequences(batch=1).requires_grad_()
    (gradient,) = torch.autograd.grad(a(x)[0][0, 2].sum(), x)
    assert (gradient[0, :3] != 0).all()
    assert (gradient[0, 3:] == 0).all()


@every_kind
def test_truncation_stops_gradients_at_each_stretch_and_leaves_values(kind):
    a, _ = both(kind, layers=2)
    x = sequences(batch=1).requires_grad_()
    outputs, _ = a(x, truncate=2)
    assert_close(outputs, a(x)[0], rtol=0, atol=0)
    for t, begin in ((1, 0), (2, 2), (5, 4)):
        (gradient,) = torch.autograd.grad(outputs[0, t].sum(), x, retain_graph=True)
        assert (gradient[0, begin : t + 1] != 0).all()
        assert (gradient[0, :begin] == 0).all()


@every_kind
def test_gradients_pass_a_numerical_check(kind):
    a, _ = both(kind, bidirectional=True)
    x = sequences(batch=2)[:, :3].requires_grad_()
    assert torch.autograd.gradcheck(lambda x: a(x, torch.tensor([3, 2]))[0], x)


@every_kind
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_near_what_torch_gives(kind, dtype):
    a, b = both(kind)
    x = sequences()
    exact = b(x)[0]
    error = (a.to(dtype)(x.to(dtype))[0].double() - exact).abs().max()
    # Six steps, each rounded a few times to a relative 2⁻¹¹ or 2⁻⁸, of states below 1.
    assert error < 30 * {torch.float16: 2**-11, torch.bfloat16: 2**-8}[dtype]
    with torch.autocast("cpu", dtype):
        mixed = a.float()(x.float())[0]
    assert (mixed.double() - exact).abs().max() < 30 * {torch.float16: 2**-11, torch.bfloat16: 2**-8}[dtype]


def test_an_open_forget_gate_keeps_the_cell():
    lstm = LSTM(2, 3)
    lstm.set_forget_bias(30.0)
    for name, parameter in lstm.named_parameters():
        rows = parameter.data.chunk(4)
        rows[0].fill_(-30.0 if name == "bias_ih_l0" else 0.0)  # nothing is let in
        if not name.startswith("bias"):
            parameter.data.zero_()
    cell = torch.randn(1, 1, 3, generator=seeded(0))
    _, (_, kept) = lstm(torch.randn(1, 50, 2, generator=seeded(1)), state=(torch.zeros(1, 1, 3), cell))
    assert_close(kept, cell)
    assert [lstm.bias_hh_l0.chunk(4)[1].abs().max().item(), lstm.bias_ih_l0.chunk(4)[1].min().item()] == [0.0, 30.0]


def test_orthogonal_weights_keep_lengths():
    rnn = RNN(2, 16, layers=2)
    rnn.make_orthogonal(0.5)
    for weight in (rnn.weight_hh_l0, rnn.weight_hh_l1):
        assert_close(weight @ weight.T, 0.25 * torch.eye(16), rtol=0, atol=1e-6)
    lstm = LSTM(2, 16)
    lstm.make_orthogonal()
    for square in lstm.weight_hh_l0.chunk(4):
        assert_close(square @ square.T, torch.eye(16), rtol=0, atol=1e-6)


def test_a_gate_before_the_product_is_the_papers_unit():
    gru = GRU(3, 4, reset="before").double()
    w, u, b, c = gru.weight_ih_l0, gru.weight_hh_l0, gru.bias_ih_l0, gru.bias_hh_l0
    x = sequences(batch=1)
    h = torch.zeros(1, 4, dtype=torch.float64)
    for t in range(6):
        r, z = torch.sigmoid(x[:, t] @ w[:8].T + b[:8] + h @ u[:8].T + c[:8]).chunk(2, -1)
        n = torch.tanh(x[:, t] @ w[8:].T + b[8:] + (r * h) @ u[8:].T + c[8:])
        h = (1 - z) * n + z * h
    assert_close(gru(x)[0][:, -1], h)
    after = GRU(3, 4).double()
    after.load_state_dict(gru.state_dict())
    assert (after(x)[0] - gru(x)[0]).abs().max() > 1e-3


@pytest.mark.equation("eq-jordan")
def test_jordans_network_remembers_its_answer_alone():
    net = JordanRNN(3, 4, 2).double()
    x = sequences(batch=1)
    answers = net(x)
    h = torch.tanh(net.input(x[:, 3]) + net.feedback(answers[:, 2]))
    assert_close(answers[:, 3], net.output(h))
    first = torch.tanh(net.input(x[:, 0]) + net.feedback.bias)
    assert_close(answers[:, 0], net.output(first))


X, H = torch.zeros(2, 5, 3), torch.zeros(1, 2, 4)
WRONG = {
    "features": (lambda: GRU(3, 4)(torch.zeros(2, 5, 2)), ValueError, r"x must have 3 features, got 2 in shape \(2, 5, 2\)"),
    "no batch": (lambda: GRU(3, 4)(torch.zeros(5, 3)), ValueError, "x must have 3 axes .*, got 2"),
    "no time": (lambda: GRU(3, 4)(torch.zeros(2, 0, 3)), ValueError, "x must hold at least one element along time"),
    "integers": (lambda: GRU(3, 4)(torch.zeros(2, 5, 3, dtype=torch.int64)), TypeError, "x must be floating point"),
    "length 0": (lambda: GRU(3, 4)(X, torch.tensor([0, 5])), ValueError, "lengths must lie in 1 … 5, the padded time, got 0"),
    "length below": (lambda: GRU(3, 4)(X, torch.tensor([5, -1])), ValueError, "lengths must lie in 1 … 5, .* got -1"),
    "length beyond": (lambda: GRU(3, 4)(X, torch.tensor([5, 6])), ValueError, "lengths must lie in 1 … 5, .* got 6"),
    "lengths of another batch": (lambda: GRU(3, 4)(X, torch.tensor([5])), ValueError, "x and lengths must agree on batch, got 2 and 1"),
    "lengths as a list": (lambda: GRU(3, 4)(X, [5, 5]), TypeError, "lengths must be a torch.Tensor or None, got list"),
    "half a length": (lambda: GRU(3, 4)(X, torch.tensor([5.0, 4.5])), TypeError, "lengths must have dtype torch.int64"),
    "state of another width": (lambda: GRU(3, 4)(X, state=torch.zeros(1, 2, 5)), ValueError, r"state must have shape \(1, 2, 4\) .*, got \(1, 2, 5\)"),
    "state of another batch": (lambda: GRU(3, 4)(X, state=torch.zeros(1, 1, 4)), ValueError, r"state must have shape \(1, 2, 4\)"),
    "half a state": (lambda: LSTM(3, 4)(X, state=H), TypeError, "state must be a pair of tensors, got 1"),
    "two states": (lambda: GRU(3, 4)(X, state=(H, H)), TypeError, "state must be one tensor, got 2"),
    "state of another dtype": (lambda: GRU(3, 4)(X, state=H.double()), TypeError, "x and state must have the same dtype"),
    "truncate": (lambda: GRU(3, 4)(X, truncate=0), ValueError, "truncate must be at least 1, got 0"),
    "hidden": (lambda: LSTM(3, 0), ValueError, "hidden must be at least 1, got 0"),
    "layers": (lambda: LSTM(3, 4, layers=0), ValueError, "layers must be at least 1, got 0"),
    "nonlinearity": (lambda: RNN(3, 4, nonlinearity="gelu"), ValueError, "nonlinearity must be 'tanh' or 'relu', got 'gelu'"),
    "reset": (lambda: GRU(3, 4, reset="never"), ValueError, "reset must be 'after' or 'before', got 'never'"),
    "gain": (lambda: RNN(3, 4).make_orthogonal(0.0), ValueError, "gain must be positive and finite, got 0.0"),
    "forget bias": (lambda: LSTM(3, 4, bias=False).set_forget_bias(), ValueError, "bias=True, got bias=False"),
}  # fmt: skip
