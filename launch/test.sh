#!/usr/bin/env bash
# Sets up the environment and runs the whole test suite: ./launch/test.sh [PYTEST ARGUMENTS]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
install "[dev]"

ruff check .
ruff format --check .
# Two processes: most of the time is compiling, which keeps a core busy and not two.
python -m pytest --numprocesses 2 --dist loadfile "$@"
