#!/usr/bin/env bash
# Tries launch/slurm.sbatch on a real Slurm: ./launch/try_slurm.sh
#
# A cluster of this one machine, in a folder of its own, on ports of its own: two tasks train
# together, are preempted, go on and end bit-equal to a run that nobody disturbed; one of two is
# killed; one is cancelled. It needs `apt-get install slurm-wlm munge`, root and two cores, takes
# some four minutes, and takes everything away when it ends. KEEP=yes keeps the folder.
set -euo pipefail
for program in slurmctld slurmd munged sbatch; do
    PATH="$PATH:/usr/sbin" command -v "$program" >/dev/null || {
        echo "no $program here: apt-get install slurm-wlm munge" >&2
        exit 1
    }
done
[ "$(id -u)" = 0 ] || { echo "start it as root: slurmd starts the tasks of others" >&2 && exit 1; }
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
command -v mclf >/dev/null || install "[train]"
PATH="$PATH:/usr/sbin"
here="$PWD"
python="$(dirname "$(command -v mclf)")/python"
folder=$(mktemp -d /tmp/try_slurm.XXXXXX)
chmod 755 "$folder" # munged wants that nobody else can write there
daemons=()

clean_up() {
    scancel --user=root 2>/dev/null || true
    sleep 1
    [ ${#daemons[@]} -eq 0 ] || kill "${daemons[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    if [ "${KEEP:-no}" = yes ]; then echo "kept: $folder"; else rm -rf "$folder"; fi
}
trap clean_up EXIT

free_port() {
    "$python" -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
}

# fails TEXT: the end, with what the daemons and the jobs said last.
fails() {
    echo "FAILED: $1" >&2
    tail -n 15 "$folder"/*.log >&2
    exit 1
}

# wait_for SECONDS WHAT COMMAND...: until the command is well.
wait_for() {
    local until=$((SECONDS + $1)) what="$2"
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || fails "waited in vain for $what"
        sleep 0.2
    done
}

state_of() { scontrol show job --oneliner "$1" | grep -o ' JobState=[A-Z_]*' | cut -d= -f2; }
is() { [ "$(state_of "$1")" = "$2" ]; }
has_ended() { [[ " COMPLETED FAILED CANCELLED TIMEOUT NODE_FAIL " == *" $(state_of "$1") "* ]]; }
has_trained() { [ "$(wc -l <"$folder/$1/metrics.jsonl")" -ge "$2" ]; }
says() { grep -q "$2" "$folder/$1.log"; }
cores=2
name=$(hostname -s)

head -c 64 /dev/urandom >"$folder/munge.key"
chmod 600 "$folder/munge.key"
munged --foreground --key-file "$folder/munge.key" --socket "$folder/munge.socket" \
    --pid-file "$folder/munged.pid" --log-file "$folder/munged.log" \
    --seed-file "$folder/munged.seed" 2>"$folder/munged.err.log" &
daemons+=($!)

# A job that is queued again waits until credentials of its first start have expired.
cat >"$folder/slurm.conf" <<END
ClusterName=try
SlurmctldHost=$name(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
NodeName=$name NodeAddr=127.0.0.1 CPUs=$cores State=UNKNOWN
PartitionName=spare Nodes=ALL Default=YES PriorityTier=1 GraceTime=60
PartitionName=urgent Nodes=ALL PriorityTier=10 PreemptMode=OFF
END
export SLURM_CONF="$folder/slurm.conf"
mkdir "$folder/state" "$folder/spool"
wait_for 10 munged test -S "$folder/munge.socket"
slurmctld -D -f "$SLURM_CONF" 2>/dev/null &
daemons+=($!)
slurmd -D -f "$SLURM_CONF" -N "$name" 2>/dev/null &
daemons+=($!)
wait_for 30 "the node" sh -c 'sinfo --noheader --format=%T | grep -q idle'
echo "cluster     $(sinfo --version), one node $name of $cores cores"

# A small quick start; programs are compiled once for all runs.
export JAX_COMPILATION_CACHE_DIR="$folder/programs" JAX_PLATFORMS=cpu
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
train=(launch/slurm.sbatch --config quickstart --config.data.args.num_songs=60
    --config.data.args.song_s=4.0 --config.model.window_s=1.0 --config.model.args.num_blocks=3
    --config.train.num_epochs=24 --config.train.batch_size=8
    --config.eval.every_epochs=12 --config.eval.batch_size=8
    --config.runtime.log_every_steps=5)

# submit NAME [OPTION OF SBATCH]...: prints the number of the job.
submit() {
    local run="$1"
    shift
    sbatch --parsable --ntasks=2 --output="$folder/$run.log" "$@" \
        "${train[@]}" --workdir "$folder/$run"
}

job=$(submit undisturbed)
wait_for 300 "the undisturbed run" has_ended "$job"
is "$job" COMPLETED || fails "the undisturbed run ended as $(state_of "$job")"
echo "together    two tasks trained: $(grep -o 'finished at step.*:' "$folder/undisturbed.log" | head -1)"

job=$(submit preempted)
wait_for 120 "the first steps" has_trained preempted 3
sbatch --parsable --partition=urgent --ntasks=2 --output=/dev/null --wrap 'sleep 2' >/dev/null
wait_for 60 "the preemption" says preempted "saved at step"
echo "preempted   $(grep -o '[A-Za-z]*: saved at step [0-9]*' "$folder/preempted.log" | head -1)"
wait_for 300 "the preempted run" is "$job" COMPLETED
restarts=$(scontrol show job --oneliner "$job" | grep -o 'Restarts=[0-9]*')
echo "            $restarts; $(grep -o 'going on from step.*' "$folder/preempted.log" | head -1)"
[ "$restarts" = Restarts=1 ] || fails "it was queued again more than once"
"$python" - "$folder" <<'END' || fails "the preempted run differs from the undisturbed one"
import logging, pathlib, sys
import numpy as np
from tests.tiny import final_arrays

logging.disable(logging.WARNING)  # of orbax, about files that it does not need
one, two = (final_arrays(pathlib.Path(sys.argv[1], name)) for name in ("undisturbed", "preempted"))
assert len(one) == len(two) > 10
assert all(np.array_equal(a, b) for a, b in zip(one, two))
print(f"            all {len(one)} arrays of its last checkpoint are bit-equal to the undisturbed")
END

job=$(submit limited)
wait_for 120 "the first steps" has_trained limited 2
scancel --batch --signal=USR1 "$job" # what --signal=B:USR1@120 sends before the time limit
wait_for 60 "the requeue" says limited "queued again"
echo "time limit  $(grep -o '[A-Za-z]*: saved at step [0-9]*' "$folder/limited.log" | head -1), queued again"
scancel "$job"
wait_for 60 "the end" has_ended "$job"

job=$(submit killed)
wait_for 120 "the first steps" has_trained killed 2
victim=$(pgrep -f "mclf train --distributed.*$folder/killed" | while read -r each; do
    tr '\0' '\n' <"/proc/$each/environ" | grep -qx SLURM_PROCID=1 && echo "$each" && break
done)
kill -KILL "$victim"
began=$SECONDS
wait_for 60 "the end of the other task" has_ended "$job"
says killed "process 1 of 2 has ended" || fails "no line says which task was killed"
echo "killed      the job ended as $(state_of "$job") $((SECONDS - began)) s later and said:"
echo "            $(grep -o 'mclf: process.*' "$folder/killed.log")"

job=$(submit cancelled)
wait_for 120 "the first steps" has_trained cancelled 2
scancel "$job"
wait_for 60 "the end of the cancelled job" has_ended "$job"
sleep 2
is "$job" CANCELLED || fails "a cancelled job is $(state_of "$job")"
echo "cancelled   $(grep -o '[A-Za-z]*: saved at step [0-9]*' "$folder/cancelled.log" | head -1), and it stays so"
echo "all is well"
