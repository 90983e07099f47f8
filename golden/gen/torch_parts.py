"""The parts around the recurrent layers, and the losses, as torch computes them, float64.

    python golden/gen/torch_parts.py         writes golden/torch_parts.safetensors

Each part has its own prefix: `<part>.<tensor>`. The loss of a layer is sum(y * loss_wy); the loss
of a loss function is itself.
"""
import numpy as np
import torch
from torch.nn import functional

from common import GOLDEN, gradients, save, stream, tensors, uniform

STEPS, BATCH, WIDTH = 5, 4, 6
LENGTHS = [3, 5, 1, 4]
CLASSES = 7


def draw(part, **shapes):
    """Leaves by name, for `part`."""
    return tensors({n: uniform(s, 1.5, part, n) for n, s in shapes.items()}, torch.float64)


def layer(part, leaves, y, **extra):
    """The tensors of a layer: leaves, y, the gradient that reaches y, and those of the leaves."""
    loss_wy = torch.from_numpy(uniform(tuple(y.shape), 1.0, part, "loss_wy"))
    out = leaves | extra | {"y": y, "loss_wy": loss_wy} | gradients((y * loss_wy).sum(), leaves)
    return {f"{part}.{name}": value for name, value in out.items()}


def layer_norm():
    q = draw("layer_norm", x=(STEPS, BATCH, WIDTH), weight=(WIDTH,), bias=(WIDTH,))
    return layer("layer_norm", q, functional.layer_norm(q["x"], (WIDTH,), q["weight"], q["bias"], eps=1e-5))


def linear():
    q = draw("linear", x=(STEPS, BATCH, WIDTH), weight=(CLASSES, WIDTH), bias=(CLASSES,))
    return layer("linear", q, functional.linear(q["x"], q["weight"], q["bias"]))


def embedding():
    # Nine rows; rows 4 and 8 are never looked up, others several times.
    q = draw("embedding", weight=(9, WIDTH))
    tokens = np.array([[0, 7, 7, 3], [1, 0, 2, 2], [5, 6, 7, 7], [3, 1, 0, 5], [2, 2, 6, 1]], np.int64)
    return layer("embedding", q, functional.embedding(torch.from_numpy(tokens), q["weight"]), tokens=tokens)


def pooling():
    lengths = torch.tensor(LENGTHS)
    real = (torch.arange(STEPS)[:, None] < lengths)[:, :, None]
    ways = {
        "pool_last": lambda x: x[lengths - 1, torch.arange(BATCH)],
        "pool_mean": lambda x: (x * real).sum(0) / lengths[:, None],
        "pool_max": lambda x: x.masked_fill(~real, -torch.inf).max(0).values,
    }
    out = {}
    for part, pool in ways.items():
        q = draw(part, x=(STEPS, BATCH, WIDTH))
        out |= layer(part, q, pool(q["x"]), lengths=np.array(LENGTHS, np.int64))
    return out


def losses():
    rows = STEPS * BATCH
    classes = torch.from_numpy(stream("losses", "classes").integers(0, CLASSES, rows))
    wanted = torch.from_numpy(uniform((rows, 2), 1.5, "losses", "targets"))
    ways = {
        "cross_entropy": (CLASSES, classes, functional.cross_entropy),
        "cross_entropy_smoothed": (CLASSES, classes, lambda x, t: functional.cross_entropy(x, t, label_smoothing=0.1)),
        "mse": (2, wanted, functional.mse_loss),
        "mae": (2, wanted, functional.l1_loss),
        "huber": (2, wanted, lambda x, t: functional.huber_loss(x, t, delta=0.7)),
    }
    out = {}
    for part, (width, targets, loss) in ways.items():
        q = draw(part, x=(rows, width))
        y = loss(q["x"], targets)
        found = q | {"targets": targets, "loss": y} | gradients(y, q)
        out |= {f"{part}.{name}": value for name, value in found.items()}
    return out


def main():
    parts = layer_norm() | linear() | embedding() | pooling() | losses()
    save(GOLDEN / "torch_parts.safetensors", parts)


if __name__ == "__main__":
    main()
