#!/bin/sh
# Makes the virtual environment bench/.venv with the rivals in Python: a few gigabytes.
# On Linux, PyTorch's own index, named by PIP_EXTRA_INDEX_URL, has a PyTorch without the parts for GPUs.
set -eu
cd "$(dirname "$0")"
"${PYTHON:-python3}" -m venv .venv
.venv/bin/pip install --requirement requirements.txt
