"""Makes golden/optimisers.json: optimisers, clipping, schedules and losses as PyTorch computes them.

    python golden/gen/optimisers.py            (needs torch and numpy; made with torch 2.15)

Inputs are numpy PCG64 with the fixed seeds below; every number is written with all its digits.
"""

import json
import math
import pathlib
import warnings

import numpy as np
import torch

warnings.simplefilter("ignore")
torch.set_num_threads(1)
DTYPES = {"f32": torch.float32, "f64": torch.float64}
STEPS, SIZE, FREE = 6, 7, (4, 6)  # the elements FREE[0]..FREE[1] have no weight decay


def numbers(tensor):
    return [float(x) for x in tensor.detach().reshape(-1).to(torch.float64)]


def optimisers():
    rng = np.random.default_rng(1)
    start = rng.normal(size=SIZE).astype(np.float32)
    grads = (rng.normal(size=(STEPS, SIZE)) * 10.0 ** rng.integers(-3, 2, size=(1, SIZE))).astype(np.float32)
    grads[2, 3] = 0.0
    rates = [0.05, 0.05, 0.02, 0.02, 0.01, 0.03]
    cases = [
        ("sgd", torch.optim.SGD, {}, {}),
        ("sgd", torch.optim.SGD, {"momentum": 0.9}, {"momentum": 0.9}),
        ("sgd", torch.optim.SGD, {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
         {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
        ("rmsprop", torch.optim.RMSprop, {}, {}),
        ("rmsprop", torch.optim.RMSprop, {"alpha": 0.9, "eps": 1e-5, "momentum": 0.7, "weight_decay": 0.05},
         {"alpha": 0.9, "eps": 1e-5, "momentum": 0.7, "weight_decay": 0.05}),
        ("adam", torch.optim.Adam, {}, {}),
        ("adam", torch.optim.Adam, {"betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.2},
         {"beta1": 0.8, "beta2": 0.95, "eps": 1e-4, "weight_decay": 0.2}),
        ("adamw", torch.optim.AdamW, {}, {}),
        ("adamw", torch.optim.AdamW, {"betas": (0.85, 0.99), "weight_decay": 0.3},
         {"beta1": 0.85, "beta2": 0.99, "weight_decay": 0.3}),
    ]
    out = []
    for kind, make, theirs, ours in cases:
        case = {"config": {"kind": kind, **ours}}
        for name, dtype in DTYPES.items():
            weights = torch.tensor(start, dtype=dtype)
            parts = [weights[: FREE[0]].clone(), weights[FREE[0] : FREE[1]].clone(), weights[FREE[1] :].clone()]
            parts = [torch.nn.Parameter(p) for p in parts]
            groups = [{"params": [parts[0], parts[2]]}, {"params": [parts[1]], "weight_decay": 0.0}]
            optimiser = make(groups, lr=rates[0], foreach=False, **theirs)
            steps = []
            for step in range(STEPS):
                grad = torch.tensor(grads[step], dtype=dtype)
                for part, g in zip(parts, (grad[: FREE[0]], grad[FREE[0] : FREE[1]], grad[FREE[1] :])):
                    part.grad = g.clone()
                for group in optimiser.param_groups:
                    group["lr"] = rates[step]
                optimiser.step()
                steps.append(numbers(torch.cat(parts)))
            case[name] = steps
        out.append(case)
    return {
        "start": [float(x) for x in start],
        "grads": [[float(x) for x in row] for row in grads],
        "rates": rates,
        "without_decay": FREE,
        "cases": out,
    }


def defaults():
    p = [torch.nn.Parameter(torch.zeros(1))]
    sgd, rms, adam, adamw = (
        make(p).defaults for make in (torch.optim.SGD, torch.optim.RMSprop, torch.optim.Adam, torch.optim.AdamW)
    )
    pick = lambda d, *keys: {("learning_rate" if k == "lr" else k): d[k] for k in keys}
    betas = lambda d: {"beta1": d["betas"][0], "beta2": d["betas"][1], **pick(d, "lr", "eps", "weight_decay")}
    return [
        {"kind": "sgd", **pick(sgd, "lr", "momentum", "nesterov", "weight_decay")},
        {"kind": "rmsprop", **pick(rms, "lr", "alpha", "eps", "momentum", "weight_decay")},
        {"kind": "adam", **betas(adam)},
        {"kind": "adamw", **betas(adamw)},
    ]


def clipping():
    rng = np.random.default_rng(2)
    out = []
    for scale, limit in ((3.0, 1.0), (0.01, 1.0), (1.0, 0.25)):
        grad = (rng.normal(size=40) * scale).astype(np.float32)
        case = {"limit": limit, "grad": [float(x) for x in grad]}
        for name, dtype in DTYPES.items():
            p = torch.nn.Parameter(torch.zeros(40, dtype=dtype))
            p.grad = torch.tensor(grad, dtype=dtype)
            norm = torch.nn.utils.clip_grad_norm_([p], limit)
            q = torch.nn.Parameter(torch.zeros(40, dtype=dtype))
            q.grad = torch.tensor(grad, dtype=dtype)
            torch.nn.utils.clip_grad_value_([q], limit)
            case[name] = {"norm": float(norm), "by_norm": numbers(p.grad), "by_value": numbers(q.grad)}
        out.append(case)
    return out


def rates_of(make, count, metrics=None):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4, momentum=0.9)
    schedule = make(optimiser)
    rates = []
    for step in range(count):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if metrics is None:
            schedule.step()
        else:
            schedule.step(metrics[step])
    return rates


def schedules():
    s = torch.optim.lr_scheduler
    metrics = [1.0, 0.9, 0.91, 0.9, 0.89995, 0.95, 0.8, 0.81, 0.82, 0.83, 0.84, 0.85, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7]
    warm, total, least = 4, 20, 0.1
    cosine = lambda step: least + (1.0 - least) * (1 + math.cos(math.pi * (step - warm) / (total - warm))) / 2
    return {
        "base": 0.4,
        "cosine": {
            "config": {"kind": "cosine", "warmup_steps": 0, "final_factor": 0.1},
            "total": 20,
            "rates": rates_of(lambda o: s.CosineAnnealingLR(o, 20, eta_min=0.04), 20),
        },
        "warmup_cosine": {
            "config": {"kind": "cosine", "warmup_steps": warm, "final_factor": least},
            "total": total,
            "rates": [0.4 * ((step + 1) / warm if step < warm else cosine(step)) for step in range(total)],
        },
        "one_cycle": [
            {
                "config": {"kind": "one-cycle", **ours},
                "total": total,
                "rates": rates_of(lambda o: s.OneCycleLR(o, 0.4, total_steps=total, cycle_momentum=False, **theirs), total),
            }
            for total, ours, theirs in (
                (30, {}, {}),
                (17, {"warmup_fraction": 0.4, "start_factor": 0.1, "final_factor": 0.01},
                 {"pct_start": 0.4, "div_factor": 10.0, "final_div_factor": 10.0}),
            )
        ],
        "step": {
            "config": {"kind": "step", "every_epochs": 3, "factor": 0.5},
            "rates": rates_of(lambda o: s.StepLR(o, 3, gamma=0.5), 11),
        },
        "plateau": [
            {
                "config": {"kind": "plateau", **ours},
                "metrics": metrics,
                "rates": rates_of(lambda o: s.ReduceLROnPlateau(o, **theirs), len(metrics), metrics),
            }
            for ours, theirs in (
                ({"patience": 2, "factor": 0.5}, {"patience": 2, "factor": 0.5}),
                ({"patience": 1, "factor": 0.3, "cooldown": 2, "threshold": 0.01, "final_factor": 0.05},
                 {"patience": 1, "factor": 0.3, "cooldown": 2, "threshold": 0.01, "min_lr": 0.02}),
            )
        ],
    }


def losses():
    rng = np.random.default_rng(3)
    out = {"cross_entropy": [], "regression": []}
    for rows, width, smoothing in ((5, 4, 0.0), (6, 9, 0.1), (3, 65, 0.3)):
        logits = (rng.normal(size=(rows, width)) * 4).astype(np.float32)
        targets = rng.integers(0, width, size=rows)
        targets[1] = -100
        case = {"rows": rows, "width": width, "label_smoothing": smoothing,
                "outputs": [float(x) for x in logits.reshape(-1)],
                "targets": [None if t < 0 else int(t) for t in targets]}
        for name, dtype in DTYPES.items():
            x = torch.tensor(logits, dtype=dtype, requires_grad=True)
            loss = torch.nn.functional.cross_entropy(x, torch.tensor(targets), label_smoothing=smoothing)
            loss.backward()
            case[name] = {"loss": float(loss), "d_outputs": numbers(x.grad)}
        out["cross_entropy"].append(case)
    f = torch.nn.functional
    for config, loss_of in (
        ({"kind": "mse"}, f.mse_loss),
        ({"kind": "mae"}, f.l1_loss),
        ({"kind": "huber", "delta": 0.7}, lambda x, y: f.huber_loss(x, y, delta=0.7)),
    ):
        values, targets = (rng.normal(size=(6, 3)).astype(np.float32) for _ in range(2))
        targets[2, 1] = values[2, 1]
        case = {"config": config, "width": 3, "outputs": [float(x) for x in values.reshape(-1)],
                "targets": [float(x) for x in targets.reshape(-1)]}
        for name, dtype in DTYPES.items():
            x = torch.tensor(values, dtype=dtype, requires_grad=True)
            loss = loss_of(x, torch.tensor(targets, dtype=dtype))
            loss.backward()
            case[name] = {"loss": float(loss), "d_outputs": numbers(x.grad)}
        out["regression"].append(case)
    return out


def main():
    golden = {
        "made_by": f"golden/gen/optimisers.py with torch {torch.__version__.split('+')[0]}",
        "optimisers": optimisers(),
        "defaults": defaults(),
        "clipping": clipping(),
        "schedules": schedules(),
        "losses": losses(),
    }
    path = pathlib.Path(__file__).resolve().parent.parent / "optimisers.json"
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, "bytes")


main()
