#!/usr/bin/env bash
# Makes music to pretrain a network on, with exact labels along time, of openly licensed soundfonts
# in Debian packages: ./launch/pretraining_data.sh DIR [HOURS [SEED]]
#
# DIR/made gets audio/ (FLAC, 22.05 kHz), midi/ and manifest.csv with a row for every three seconds:
# instruments, drums, pitch classes, polyphony, tempo and more. 12 hours, if nobody says, take three
# minutes on one core, 250 MB to download and 0.8 GB. The same seed makes the same files; killed,
# the same command goes on.
#
# No root: packages are downloaded by apt-get, checked by it, and unpacked below DIR/packages, which
# may be removed afterwards. Fonts and licences: docs/data.md.
set -euo pipefail

if [ $# -lt 1 ] || [ $# -gt 3 ] || [[ "$1" == -* ]]; then
    sed -n '2,/^# may be/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
hours=${2:-12}
seed=${3:-0}
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
source launch/debian.sh
command -v mclf >/dev/null || install "[train]"
python="$(dirname "$(command -v mclf)")/python"

unpack "$folder/packages" fluid-soundfont-gm opl3-soundfont avldrums.lv2-soundfont timgm6mb-soundfont
# Without what it depends on: that plays through a sound card, which is not needed.
"$python" -c "import tinysoundfont" 2>/dev/null ||
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps tinysoundfont==0.3.7
"$python" -m mclf_jax.data.made.write "$folder/made" --packages "$folder/packages" \
    --hours "$hours" --seed "$seed" --processes "$(nproc)"
