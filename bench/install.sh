#!/bin/sh
# Makes the virtual environment bench/.venv with the rivals in Python: a few gigabytes.
# On Linux, PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu gets a PyTorch without the parts for GPUs.
set -eu
cd "$(dirname "$0")"
"${PYTHON:-python3}" -m venv .venv
.venv/bin/pip install --requirement requirements.txt
