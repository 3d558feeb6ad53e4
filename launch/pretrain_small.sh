#!/usr/bin/env bash
# Trains a small encoder on made music and says what it is good for:
# ./launch/pretrain_small.sh DIR SONGS...
#
# DIR/made is made by ./launch/pretraining_data.sh, which this calls if there is none; the run is
# DIR/small, and goes on where it was killed. DIR/blocks has the same convolutions, and a last layer
# that reads what every block makes, learnt in 1000 steps. Each of SONGS is a folder with one label a
# song (manifest.csv, or a subfolder for each label), on which linear classifiers and SVMs of DIR/blocks,
# frozen, are put beside those of the same network untrained and an SVM on MFCC statistics, with 1, 3,
# 10 and all labels of each: five folds by group, three seeds.
#   HOURS  of music, 12   STEPS  of 32 windows, 4000   SEED  of music and training, 0
set -euo pipefail

if [ $# -lt 1 ] || [[ "$1" == -* ]]; then
    sed -n '2,/^#   HOURS/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
hours=${HOURS:-12} steps=${STEPS:-4000} seed=${SEED:-0}
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
sets=()
for songs in "$@"; do
    sets+=("$(cd "$songs" && pwd)")
done
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
command -v mclf >/dev/null || install "[train]"

[ -f "$folder/made/manifest.csv" ] || ./launch/pretraining_data.sh "$folder" "$hours" "$seed"
mclf train --config "made_music:path=$folder/made,steps=$steps" --config.seed="$seed" \
    --workdir "$folder/small"
mclf train --config "made_music:path=$folder/made,start=$folder/small,steps=1000" \
    --config.seed="$seed" --workdir "$folder/blocks"
for run in small blocks; do
    mclf evaluate "$folder/$run" --split test
done
for songs in "${sets[@]}"; do
    mclf probe "$folder/blocks" --data folder --from "$songs" --kind linear svm \
        --songs 1 3 10 --folds 5 --seeds 3 --baseline untrained mfcc
done
