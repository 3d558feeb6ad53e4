#!/usr/bin/env bash
# What a GPU gives, in at most eight minutes, on a machine without network:
#   ./launch/gpu_check.sh WHEELS                   with the wheels of launch/gpu_wheels.sh
#   ./launch/gpu_check.sh installed                with what MCLF_PYTHON has installed already
#   ./launch/gpu_check.sh installed --device cpu   small, to see that all of it works
# Further options are those of benchmarks/gpu/check.py; results are in gpu_check/ unless --out says.
set -euo pipefail
seconds=475
[ $# -ge 1 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
wheels=$1
shift
[ "$wheels" = installed ] || wheels=$(cd "$wheels" && pwd)
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
python=$(find_python)
if [ "$wheels" != installed ]; then
    place=$(mktemp -d)
    trap 'rm -rf "$place"' EXIT
    "$python" -m venv "$place/venv"
    python=$place/venv/bin/python
    echo "installing from $wheels"
    timeout $((seconds - 120)) "$python" -m pip install --quiet --disable-pip-version-check \
        --no-index --no-compile --find-links "$wheels" --requirement "$wheels/requirements.txt"
fi
# JAX takes memory as it needs it, or there would be none to measure, nor any for PyTorch.
export XLA_PYTHON_CLIENT_PREALLOCATE=false PYTHONPATH=$PWD
# All ends in time, also if Python itself hangs.
timeout --kill-after=5 $((seconds - SECONDS)) \
    "$python" -m benchmarks.gpu.check --seconds $((seconds - SECONDS - 10)) "$@"
