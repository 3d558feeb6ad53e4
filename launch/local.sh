#!/usr/bin/env bash
# From a fresh clone to a trained tagger with a report: ./launch/local.sh [RUN_DIRECTORY]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
install "[train]"

run="${1:-runs/quickstart}"
mclf train --config quickstart --workdir "$run"
mclf evaluate "$run" --split test
page=$(mclf report "$run")

cat <<END

Look at      $page
Tag songs    mclf predict $run SONG.mp3 --top 3
Your songs   mclf train --config folder:path=DIR --workdir runs/mine
Tags         mclf train --config quickstart:task=instruments --workdir runs/tags
Ablation     mclf sweep --config ablations/frontend --workdir runs/frontend
(the command is in $venv/bin: source $venv/bin/activate)
END
