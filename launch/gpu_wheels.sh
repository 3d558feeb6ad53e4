#!/usr/bin/env bash
# On a machine with network, of the same kind and Python as the one with the GPU:
#   ./launch/gpu_wheels.sh DIR          all that launch/gpu_check.sh needs there, CUDA's libraries too
set -euo pipefail
[ $# = 1 ] || { echo "usage: launch/gpu_wheels.sh DIR" >&2; exit 2; }
mkdir -p "$1"
wheels=$(cd "$1" && pwd)
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
python=$(find_python)
# The package itself comes as this checkout.
"$python" - "$wheels/requirements.txt" <<'END'
import sys, tomllib

project = tomllib.load(open("pyproject.toml", "rb"))["project"]
extras = project["optional-dependencies"]
names = [*project["dependencies"], *extras["cuda"], *extras["torch"], "matplotlib>=3.9"]
open(sys.argv[1], "w").write("\n".join(names) + "\n")
END
"$python" -m pip download --disable-pip-version-check --only-binary=:all: \
    --dest "$wheels" --requirement "$wheels/requirements.txt"
du -sh "$wheels"
echo "copy it and this checkout; there: ./launch/gpu_check.sh $(basename "$wheels")"
