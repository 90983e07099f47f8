"""Cells of papers: outputs, final states and every gradient, float64, in plain NumPy.

    python golden/gen/paper_cells.py         writes golden/paper_cells/

The equations stand here as in the papers, one step of one sequence at a time (a prime marks the step
before): the variants NIG, NFG, NOG, NIAF and NOAF of Greff et al. 2017, "LSTM: a search space odyssey";
the minimal gated unit of Zhou et al. 2016, "Minimal gated unit for recurrent neural networks"; IndRNN of
Li et al. 2018, "Independently recurrent neural network"; fo-pooling of Bradbury et al. 2017,
"Quasi-recurrent neural networks"; SRU of Lei et al. 2018, "Simple recurrent units for highly
parallelizable recurrence"; minGRU and minLSTM of Feng et al. 2024, "Were RNNs all we needed?", with the
positive candidate of their appendix B; and the sLSTM of Beck et al. 2024, "xLSTM: extended long short-term
memory", with its stabiliser, whose state before the first step counts for nothing.

Gradients are complex steps: the imaginary part of f(x + ih) is h f'(x), to the last digit for h = 1e-30.
Where a function chooses, it chooses by the real part. The batch has lengths, after which states stay and
outputs are 0, and resets, which make the states before a step zero.
"""
import numpy as np

from common import GOLDEN, save, save_index, uniform

INPUT, HIDDEN, STEPS, BATCH = 3, 4, 6, 4
LENGTHS = [4, 6, 1, 5]
RESETS = [[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0]]
PADDING = 9.0
STEP = 1e-30

tanh = np.tanh


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def relu(a):
    return np.where(a.real > 0, a, 0)


def sums(x, h, q, gates):
    return np.split(q["w"] @ x + q["b"] + (q["r"] @ h if "r" in q else 0), gates)


def lstm_without(missing, candidate=tanh, shown=tanh):
    """V, the LSTM with peepholes, without a gate or without an activation."""
    def step(x, state, q):
        h, c = state
        names = [gate for gate in "ifgo" if gate != missing]
        a = dict(zip(names, sums(x, h, q, len(names))))
        seen = [gate for gate in "ifo" if gate != missing]
        p = dict(zip(seen, np.split(q["p"], len(seen))))
        i = sigmoid(a["i"] + p["i"] * c) if missing != "i" else 1
        f = sigmoid(a["f"] + p["f"] * c) if missing != "f" else 1
        c = f * c + i * candidate(a["g"])
        o = sigmoid(a["o"] + p["o"] * c) if missing != "o" else 1
        return o * shown(c), c
    return step


def minimal_gated(x, state, q):
    (h,) = state
    (w_f, w_n), (r_f, r_n), (b_f, b_n) = (np.split(q[name], 2) for name in ("w", "r", "b"))
    f = sigmoid(w_f @ x + r_f @ h + b_f)
    n = tanh(w_n @ x + r_n @ (f * h) + b_n)
    return ((1 - f) * h + f * n,)


def ind_rnn(x, state, q):
    (h,) = state
    return (relu(q["w"] @ x + q["p"] * h + q["b"]),)


def qrnn(x, state, q):
    _, c = state
    f, z, o = sums(x, None, q, 3)
    c = sigmoid(f) * c + (1 - sigmoid(f)) * tanh(z)
    return sigmoid(o) * c, c


def sru(x, state, q):
    """The highway carries the input itself."""
    _, c = state
    u, f, r = sums(x, None, q, 3)
    v_f, v_r = np.split(q["p"], 2)
    f, r = sigmoid(f + v_f * c), sigmoid(r + v_r * c)
    c = f * c + (1 - f) * u
    return r * c + (1 - r) * x, c


def sru_projected(x, state, q):
    """The highway has a product of its own."""
    _, c = state
    u, f, r, s = sums(x, None, q, 4)
    v_f, v_r = np.split(q["p"], 2)
    f, r = sigmoid(f + v_f * c), sigmoid(r + v_r * c)
    c = f * c + (1 - f) * u
    return r * c + (1 - r) * s, c


def positive(a):
    return np.where(a.real >= 0, a + 0.5, sigmoid(a))


def min_gru(x, state, q):
    (h,) = state
    z, g = sums(x, None, q, 2)
    return ((1 - sigmoid(z)) * h + sigmoid(z) * positive(g),)


def min_lstm(x, state, q):
    (h,) = state
    f, i, g = sums(x, None, q, 3)
    f, i = sigmoid(f), sigmoid(i)
    return (f / (f + i) * h + i / (f + i) * positive(g),)


def slstm_of(log_f):
    def step(x, state, q):
        h, c, n, m = state
        i, f, z, o = sums(x, h, q, 4)
        ahead = log_f(f) + m
        new_m = np.where((n.real > 0) & (ahead.real > i.real), ahead, i)
        i, f = np.exp(i - new_m), np.where(n.real > 0, np.exp(ahead - new_m), 0)
        c, n = f * c + i * tanh(z), f * n + i
        return sigmoid(o) * c / n, c, n, new_m
    return step


# Gates of w, gates of r, weights of a unit's own, states.
CELLS = {
    "lstm_nig": (lstm_without("i"), 3, 3, 2, 2),
    "lstm_nfg": (lstm_without("f"), 3, 3, 2, 2),
    "lstm_nog": (lstm_without("o"), 3, 3, 2, 2),
    "lstm_niaf": (lstm_without("", candidate=lambda a: a), 4, 4, 3, 2),
    "lstm_noaf": (lstm_without("", shown=lambda a: a), 4, 4, 3, 2),
    "minimal_gated": (minimal_gated, 2, 2, 0, 1),
    "ind_rnn": (ind_rnn, 1, 0, 1, 1),
    "slstm": (slstm_of(lambda a: -np.log(1 + np.exp(-a))), 4, 4, 0, 4),
    "slstm_exponential": (slstm_of(lambda a: a), 4, 4, 0, 4),
    "qrnn": (qrnn, 3, 0, 0, 2),
    "sru": (sru, 3, 0, 2, 2),
    "sru_projected": (sru_projected, 4, 0, 2, 2),
    "min_gru": (min_gru, 2, 0, 0, 1),
    "min_lstm": (min_lstm, 3, 0, 0, 1),
}


def run(step, states, q):
    """y [T, B, H], h after the last step [B, H], and the other states [S-1, B, H]."""
    y = np.zeros((STEPS, BATCH, HIDDEN), complex)
    last = np.zeros((states, BATCH, HIDDEN), complex)
    for b in range(BATCH):
        state = [q["h0"][b], *(c[b] for c in q.get("c0", []))]
        for t in range(LENGTHS[b]):
            if RESETS[t][b]:
                state = [np.zeros(HIDDEN, complex) for _ in state]
            state = step(q["x"][t, b], state, q)
            y[t, b] = state[0]
        last[:, b] = state
    return y, last[0], last[1:]


def compute(name):
    step, gates, recurrent, own, states = CELLS[name]
    inputs = HIDDEN if name == "sru" else INPUT
    shapes = {"w": (gates * HIDDEN, inputs), "b": (gates * HIDDEN,)}
    shapes |= {"r": (recurrent * HIDDEN, HIDDEN)} if recurrent else {}
    shapes |= {"p": (own * HIDDEN,)} if own else {}
    q = {n: uniform(s, 0.8, name, n) for n, s in shapes.items()}
    q["x"] = uniform((STEPS, BATCH, inputs), 1.4, name, "x")
    for b, length in enumerate(LENGTHS):
        q["x"][length:, b] = PADDING
    q["h0"] = uniform((BATCH, HIDDEN), 0.9, name, "h0")
    weigh = {"loss_wy": uniform((STEPS, BATCH, HIDDEN), 1.0, name, "loss_wy"),
             "loss_wh": uniform((BATCH, HIDDEN), 1.0, name, "loss_wh")}
    if states > 1:
        q["c0"] = uniform((states - 1, BATCH, HIDDEN), 0.9, name, "c0")
        weigh["loss_wc"] = uniform((states - 1, BATCH, HIDDEN), 1.0, name, "loss_wc")
    if states > 2:
        # A sum of weights: positive where there is a past.
        q["c0"][1] = 1 + np.abs(q["c0"][1])

    def loss(q):
        y, hn, cn = run(step, states, q)
        total = (y * weigh["loss_wy"]).sum() + (hn * weigh["loss_wh"]).sum()
        return total + (cn * weigh["loss_wc"]).sum() if states > 1 else total

    complexes = {n: a.astype(complex) for n, a in q.items()}
    found = {}
    for n, a in complexes.items():
        gradient = np.zeros(a.size)
        for at in range(a.size):
            a.flat[at] += 1j * STEP
            gradient[at] = loss(complexes).imag / STEP
            a.flat[at] = a.flat[at].real
        found[f"grad.{n}"] = gradient.reshape(a.shape)
    y, hn, cn = run(step, states, complexes)
    out = {"y": y.real, "hn": hn.real}
    out |= {"cn": cn.real} if states > 1 else {}
    flags = {"lengths": np.array(LENGTHS, np.int64), "resets": np.array(RESETS, np.uint8)}
    return {**q, **weigh, **out, **flags, **found}


def main():
    folder, index = GOLDEN / "paper_cells", []
    for name in CELLS:
        save(folder / f"{name}.safetensors", compute(name))
        index.append({"file": f"{name}.safetensors", "cell": name,
                      "input": HIDDEN if name == "sru" else INPUT, "hidden": HIDDEN,
                      "steps": STEPS, "batch": BATCH, "lengths": LENGTHS, "resets": True})
    save_index(folder / "index.json", {"numpy": np.__version__}, index)


if __name__ == "__main__":
    main()
