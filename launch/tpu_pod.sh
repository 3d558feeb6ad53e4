#!/usr/bin/env bash
# Trains on all hosts of a TPU slice. Makes the slice if it is not there, and makes it again and
# goes on when it has been preempted:
#
#   ZONE=us-west4-a TPU=v5litepod-16 ./launch/tpu_pod.sh NAME \
#       --config clmr --from gs://BUCKET/mtat --workdir /mnt/shared/runs/clmr
#
# NAME is that of the slice; what follows it is for `mclf train`. With --dry-run before NAME the
# commands are only printed. The run directory is on a disk that every host sees.
#   ZONE     of Google Cloud                       PROJECT  of gcloud's configuration, if not given
#   TPU      type, to make the slice: v5litepod-16, v5p-32, v6e-64, ...
#   VERSION  of the image of its machines, if the one that belongs to TPU is not meant
#   SPOT=yes cheaper, and preempted when others need it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

dry_run=no
if [ "${1:-}" = "--dry-run" ]; then
    dry_run=yes
    shift
fi
if [ $# -lt 2 ] || [ -z "${ZONE:-}" ]; then
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "launch/$(basename "$0")" >&2
    exit 2
fi
name="$1"
shift
if [ "$dry_run" = no ] && ! command -v gcloud >/dev/null; then
    echo "no gcloud here; see https://cloud.google.com/sdk/docs/install, or try --dry-run" >&2
    exit 1
fi

# tpu VERB WORD...: of gcloud, in the zone.
tpu() {
    local words=(gcloud compute tpus tpu-vm "$1" "${@:2}" "--zone=$ZONE")
    [ -z "${PROJECT:-}" ] || words+=("--project=$PROJECT")
    if [ "$dry_run" = yes ]; then
        printf '%q ' "${words[@]}"
        echo
    else
        "${words[@]}"
    fi
}

# Empty if there is no such slice.
state() { [ "$dry_run" = yes ] || tpu describe "$name" --format='value(state)' 2>/dev/null || true; }

create() {
    [ -n "${TPU:-}" ] || { echo "there is no slice $name in $ZONE; give its type in TPU" >&2 && exit 1; }
    local version="${VERSION:-}" spot=()
    if [ -z "$version" ]; then
        case "$TPU" in
            v5litepod-*) version=v2-alpha-tpuv5-lite ;;
            v5p-*) version=v2-alpha-tpuv5 ;;
            v6e-*) version=v2-alpha-tpuv6e ;;
            *) version=tpu-ubuntu2204-base ;;
        esac
    fi
    [ "${SPOT:-no}" = no ] || spot=(--spot)
    tpu create "$name" "--accelerator-type=$TPU" "--version=$version" ${spot[@]+"${spot[@]}"}
}

# On each host. Its own Python may be too old, so uv fetches one.
on_host="set -e; mkdir -p mclf_jax; tar -xzf mclf_jax.tar.gz -C mclf_jax
python3 -m pip install --quiet --user uv
python3 -m uv python install --quiet 3.12
MCLF_PYTHON=\$(python3 -m uv python find 3.12)
export MCLF_PYTHON JAX_PLATFORMS=tpu,cpu
source mclf_jax/launch/env.sh
install '[train,tpu,cloud]'
cd
mclf train --distributed$(printf ' %q' "$@")"

code=$(mktemp -d)
trap 'rm -rf "$code"' EXIT
tar -czf "$code/mclf_jax.tar.gz" --exclude=__pycache__ \
    README.md constraints.txt pyproject.toml configs docs/troubleshooting.md launch mclf_jax

while true; do
    now=$(state)
    case "$now" in
        READY) ;;
        "") create ;;
        CREATING | STARTING | RESTARTING | REPAIRING | DELETING | STOPPING)
            echo "$name is $now; waiting" >&2
            sleep "${WAIT_S:-30}"
            continue
            ;;
        *) # PREEMPTED, TERMINATED, STOPPED
            echo "$name is $now; it is made again" >&2
            tpu delete "$name" --quiet
            create
            ;;
    esac
    status=0
    tpu scp "$code/mclf_jax.tar.gz" "$name:" --worker=all &&
        tpu ssh "$name" --worker=all --command="$on_host" || status=$?
    # What is left after a slice went away is a slice that is not ready.
    if [ "$status" -eq 0 ] || [ "$dry_run" = yes ] || [ "$(state)" = READY ]; then
        exit "$status"
    fi
done
