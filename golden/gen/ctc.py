"""Losses and gradients of torch.nn.functional.ctc_loss, the blank as class 0.

Writes golden/ctc.json: for each case the scores before the softmax [frames, classes], the target, the loss
and its gradient by the scores. Targets are empty, have equal neighbours, just fit, or leave room.
"""
import json

import torch
from common import GOLDEN, uniform

CASES = [
    ("one frame", 1, 3, [2]),
    ("no symbol", 4, 3, []),
    ("equal neighbours just fit", 5, 4, [3, 3, 3]),
    ("room to spare", 9, 5, [1, 4, 4, 2]),
    ("many symbols", 12, 6, [5, 1, 2, 3, 3, 4, 5, 5]),
]


def case(name, frames, classes, target):
    scores = torch.tensor(uniform((frames, classes), 4.0, "ctc", name), requires_grad=True)
    loss = torch.nn.functional.ctc_loss(
        scores.log_softmax(-1).unsqueeze(1),
        torch.tensor([target], dtype=torch.long).reshape(1, -1),
        torch.tensor([frames]),
        torch.tensor([len(target)]),
        blank=0,
        reduction="sum",
    )
    loss.backward()
    return {
        "name": name,
        "classes": classes,
        "target": target,
        "scores": scores.detach().flatten().tolist(),
        "loss": loss.item(),
        "gradient": scores.grad.flatten().tolist(),
    }


if __name__ == "__main__":
    cases = [case(*c) for c in CASES]
    (GOLDEN / "ctc.json").write_text(json.dumps(cases, indent=1) + "\n")
