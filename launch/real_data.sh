#!/usr/bin/env bash
# Builds labelled sets of real recordings from Debian packages alone, for figures that anyone can
# make again: ./launch/real_data.sh DIR [drums | instruments | soundtracks]...
#
#   drums        hits of 14 kits: kick, snare, hi-hat, tom, cymbal, other; whole kits held out (143 MB)
#   instruments  sounds of LMMS and Sonic Pi, by what plays them (30 MB)
#   soundtracks  music of six games, by game (579 MB)
#
# Without names it builds all three. No root: packages are downloaded by apt-get, checked by it, and
# unpacked below DIR/packages, which may be removed afterwards. Each set is a folder with
# manifest.csv (path, label, split or nothing, group, seconds, licence as debian/copyright says it,
# package), and is looked through by `mclf data check`. What is free to copy need not be free to
# mix: read the column licence before you hand a set on.
set -euo pipefail

if [ $# -lt 1 ] || [[ "$1" == -* ]]; then
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
sets=("$@")
[ ${#sets[@]} -gt 0 ] || sets=(drums instruments soundtracks)
packages=()
for name in "${sets[@]}"; do
    case "$name" in
        drums) packages+=(hydrogen-drumkits) ;;
        instruments) packages+=(lmms-common sonic-pi-samples) ;;
        soundtracks)
            packages+=(colobot-common-sounds hyperrogue-music singularity-music supertux-data)
            packages+=(warzone2100-music wesnoth-1.16-music)
            ;;
        *) echo "the set is '$name'; allowed: drums, instruments, soundtracks" >&2 && exit 2 ;;
    esac
done
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
source launch/debian.sh
command -v mclf >/dev/null || install "[train]"
python="$(dirname "$(command -v mclf)")/python"

unpack "$folder/packages" "${packages[@]}"
for name in "${sets[@]}"; do
    "$python" launch/real_data.py "$name" "$folder"
    mclf data check "$folder/$name" --name folder --out "$folder/$name.html"
done
