#!/usr/bin/env bash
# Sets up the environment, and checks style, types and promises: ./launch/test.sh [PYTEST ARGUMENTS]
#   ./launch/test.sh          one test of each promise
#   ./launch/test.sh --all    also what is marked slow
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
# It wants an older orbax-checkpoint than the others, for an export that we do not use.
install "[dev]" jax2onnx

marks="not slow"
if [ "${1:-}" = "--all" ]; then
    marks=""
    shift
fi
ruff check .
ruff format --check .
basedpyright
# Two processes: most of the time is compiling, which keeps a core busy and not two.
python -m pytest --numprocesses 2 --dist loadfile -m "$marks" "$@"
