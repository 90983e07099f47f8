"""Times PyTorch's recurrent layers on a processor, and its product of matrices.

`peak_gflops` is the rate of a product of two 2048 x 2048 matrices of the same type in the same process,
measured after the shape: what the machine could do just then.
"""
import contract
import torch
from torch.nn.utils.rnn import pack_padded_sequence

KINDS = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn-tanh": torch.nn.RNN, "rnn-relu": torch.nn.RNN}
TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def product(n, dtype, seconds, least):
    a, b = torch.randn(n, n).to(dtype), torch.randn(n, n).to(dtype)
    c = torch.empty(n, n, dtype=dtype)
    return contract.seconds_of(lambda: torch.mm(a, b, out=c), seconds, least=least)


def uniform(a):
    """Lengths from a tenth of the steps to all of them; one sequence has them all."""
    lengths = torch.randint(-(-a.steps // 10), a.steps + 1, (a.batch,))
    lengths[0] = a.steps
    return lengths


def recurrent(a, dtype):
    """What is timed, and over how many real steps."""
    options = {"nonlinearity": "relu"} if a.cell == "rnn-relu" else {}
    layer = KINDS[a.cell](a.input, a.hidden, a.layers, bidirectional=a.bidirectional, **options).to(dtype)
    train = a.mode == "train"
    x = torch.randn(a.steps, a.batch, a.input, dtype=dtype, requires_grad=train)
    lengths = uniform(a) if a.lengths else None
    rows = a.steps * a.batch if lengths is None else int(lengths.sum())
    width = a.hidden * (2 if a.bidirectional else 1)

    def forward(x, state=None):
        if lengths is None:
            return layer(x, state)
        y, state = layer(pack_padded_sequence(x, lengths, enforce_sorted=False), state)
        return y.data, state

    if train:
        dy = torch.randn(rows, width, dtype=dtype)
        dy = dy if lengths is not None else dy.view(a.steps, a.batch, width)

        def run():
            layer.zero_grad(set_to_none=True)
            x.grad = None
            forward(x)[0].backward(dy)
        return run, rows
    layer.eval()
    state = [None]

    def run():
        with torch.inference_mode():
            after = forward(x, state[0])[1]
            state[0] = after if a.mode == "step" else None
    return run, rows


def main():
    a = contract.arguments()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    if a.dtype not in TYPES:
        contract.refuse(f"PyTorch's layers have no {a.dtype}")
    dtype = TYPES[a.dtype]
    if a.mode == "product":
        contract.answer("torch", torch.__version__, a, product(a.hidden, dtype, a.seconds, 5))
        return
    if a.cell not in KINDS:
        contract.refuse(f"PyTorch has no {a.cell}")
    run, rows = recurrent(a, dtype)
    times = contract.seconds_of(run, a.seconds)
    # Before the product takes memory of its own.
    memory = contract.peak_mb()
    peak = 2 * 2048 ** 3 / min(product(2048, dtype, 0.1, 4)) / 1e9
    contract.answer("torch", torch.__version__, a, times, rows=rows, peak_gflops=peak, peak_rss_mb=memory)


main()
