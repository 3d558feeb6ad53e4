#!/usr/bin/env bash
# Builds the site, notebooks run, warnings as errors, and follows its links: ./launch/docs.sh [FOLDER]
#   MCLF_NOTEBOOKS=off   without running the notebooks
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
install "[docs]"

site="${1:-docs/_build}"
rm -rf docs/tutorial/runs
python -m sphinx --fail-on-warning --keep-going --quiet --builder html docs "$site"
python docs/check_links.py "$site"
echo "Look at $site/index.html"
