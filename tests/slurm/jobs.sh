#!/usr/bin/env bash
# Starts the cluster and its jobs; runs inside of cluster.sh's namespaces.
#
# usage: jobs.sh HEBBES SOURCES
set -euo pipefail
hebbes=$1 config=$2/configs/ant/quickstart.yaml
small=(--set env.engine=mujoco --set env.early_stop=false --set policy.hidden=8 --set search.population=16 --set run.checkpoint_every=5)
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_rmaps_base_oversubscribe=1

fail() {
    echo "failed: $*"
    tail -n 20 /srv/*.out /srv/slurm/*.log 2>/dev/null
    exit 1
}

same() { # WHAT RUN EXPECTED
    local found
    found=$("$hebbes" digest "$2")
    [ "$found" = "$3" ] || fail "$1: expected $3, found $found"
    echo "$1: $found"
}

first_generation() { # FILE: waits for it in a job's output
    for _ in $(seq 200); do
        grep -q "generation " "$1" 2>/dev/null && return
        sleep 0.1
    done
}

signal_rank() { # SIGNAL RANK RUN
    local victim
    for victim in $(pgrep -f "train .*--out $3\$"); do
        tr '\0' '\n' <"/proc/$victim/environ" | grep -qx "SLURM_PROCID=$2" && [ "$(cat "/proc/$victim/comm")" = hebbes ] && kill "-$1" "$victim"
    done
    return 0
}

goes_on() { # RUN WHAT: one generation more, by one process, has the bits of an unbroken run
    local last
    last=$(find "$1/checkpoints" -name 'gen-*.h5' | sort | tail -n 1)
    last=$((10#$(basename "$last" .h5 | cut -d- -f2) + 1))
    "$hebbes" resume "$1" --set run.generations=$last >/dev/null 2>&1 || fail "the run cannot be resumed"
    rm -rf unbroken
    "$hebbes" train "$config" "${small[@]}" --set run.generations=$last --out unbroken >/dev/null 2>&1
    same "$2" "$1" "$("$hebbes" digest unbroken)"
}

start_cluster() {
    mkdir -p /srv/slurm/ctld /srv/slurm/n1 /srv/slurm/n2 /run/munge /var/log/munge
    cp /srv/slurm.conf /etc/slurm/slurm.conf
    printf '127.0.0.1 localhost\n10.77.0.1 n1\n10.77.0.2 n2\n' >/etc/hosts
    [ -f /etc/munge/munge.key ] || head -c 1024 /dev/urandom >/etc/munge/munge.key
    chown -R root /etc/munge /run/munge /var/log/munge /var/lib/munge
    chmod 400 /etc/munge/munge.key
    chmod 755 /run/munge
    munged --force 2>/dev/null
    slurmctld
    slurmd -N n1
    # The second node: its own network behind a veth pair, host name, and /tmp, where two nodes' files would collide.
    unshare -num sh -c 'mount -t tmpfs tmpfs /tmp; hostname n2; until ip link show v1 >/dev/null 2>&1; do sleep 0.05; done
        ip link set lo up; ip addr add 10.77.0.2/24 dev v1; ip link set v1 up; exec slurmd -D -N n2' &
    second=$!
    sleep 0.5
    ip link set v1 netns "$second"
    for _ in $(seq 100); do
        [ "$(sinfo -h -t idle -p low -o %D)" = 2 ] && return
        sleep 0.2
    done
    fail "the nodes do not come up: $(sinfo)"
}

test_ranks_over_nodes() {
    "$hebbes" train "$config" "${small[@]}" --set run.generations=3 --out alone >/dev/null 2>&1
    local expected
    expected=$("$hebbes" digest alone)
    for ranks in 2 4; do
        srun -N2 -n "$ranks" -K1 "$hebbes" train "$config" "${small[@]}" --threads 1 --set run.generations=3 --out "ranks$ranks" >"ranks$ranks.out" 2>&1 ||
            fail "srun -n $ranks"
        grep -q "by $ranks ranks" "ranks$ranks.out" || fail "srun started single runs"
        same "srun on two nodes, $ranks ranks" "ranks$ranks" "$expected"
    done
}

test_array() {
    cat >array.sh <<EOF
#!/bin/bash
#SBATCH -n1 -o /srv/array-%a.out
"$hebbes" train "$config" ${small[*]} --threads 1 --set run.generations=3 --seed \$SLURM_ARRAY_TASK_ID --out /srv/array\$SLURM_ARRAY_TASK_ID
EOF
    sbatch -W --array=1-2 array.sh >/dev/null || fail "sbatch --array"
    same "array, seed 1" array1 "$("$hebbes" digest alone)"
    [ "$("$hebbes" digest array2)" != "$("$hebbes" digest array1)" ] || fail "two seeds have one digest"
}

# As docs/clusters.md has it: pre-empted, it ends with 75, is queued again and goes on, here with another number of ranks.
test_preemption() {
    cat >low.sh <<EOF
#!/bin/bash
#SBATCH -N2 -n4 -p low --requeue --open-mode=append -o /srv/low.out
if [ -e low/config.yaml ]; then work="resume low"; else work="train $config ${small[*]} --threads 1 --set run.generations=60 --out low"; fi
srun -K1 -n \$((4 - \${SLURM_RESTART_COUNT:-0})) "$hebbes" \$work
rc=\$?
echo "ended with \$rc"
[ \$rc = 75 ] && scontrol requeue \$SLURM_JOB_ID
exit \$rc
EOF
    local job
    job=$(sbatch --parsable low.sh)
    first_generation low.out
    srun -p high -N2 -n2 true
    for _ in $(seq 120); do
        [ -n "$(squeue -h -j "$job" 2>/dev/null)" ] || break
        if [ "$(squeue -h -j "$job" -o %T)" = PENDING ]; then
            sleep 5 # SLURM itself waits two minutes, and needs some of them to clean up
            scontrol update job="$job" StartTime=now 2>/dev/null || true
        fi
        sleep 0.5
    done
    grep -q "ended with 75" low.out || fail "the job was not pre-empted, or did not end with 75"
    grep -q "resuming low after .* by 3 ranks" low.out || fail "the job did not go on with three ranks"
    "$hebbes" train "$config" "${small[@]}" --set run.generations=60 --out unbroken >/dev/null 2>&1
    same "pre-empted, queued again, resumed by 3 ranks instead of 4" low "$("$hebbes" digest unbroken)"
}

# Kills rank 0 or another one; the job must end within 10 s, and the run go on to the bits of an unbroken one.
test_killed_rank() { # RANK
    rm -rf killed
    srun -K1 -N2 -n4 "$hebbes" train "$config" "${small[@]}" --threads 1 --set run.generations=9999 --out killed >"killed$1.out" 2>&1 &
    local job=$! begun rc=0
    first_generation "killed$1.out"
    begun=$(date +%s)
    signal_rank KILL "$1" killed
    wait "$job" || rc=$?
    [ "$rc" != 0 ] || fail "srun ended with 0 though rank $1 was killed"
    [ $(($(date +%s) - begun)) -le 10 ] || fail "the death of rank $1 held the job for $(($(date +%s) - begun)) s"
    grep -qE "n[12]: task $1: Killed" "killed$1.out" || fail "nobody says that rank $1 has died"
    echo "rank $1 killed: ended with $rc after $(($(date +%s) - begun)) s: $(grep -E "task $1: Killed" "killed$1.out")"
    goes_on killed "resumed after the death of rank $1"
}

# Takes the second node off the network while four ranks train, then asks for a stop: rank 0 saves what it has, and the run goes on alone.
test_unplugged() {
    rm -rf unplugged
    HB_LINK_SLOW=2 srun -K1 -N2 -n4 "$hebbes" train "$config" "${small[@]}" --threads 1 --set run.generations=9999 --out unplugged >unplugged.out 2>&1 &
    local job=$!
    first_generation unplugged.out
    ip link set v0 down
    sleep 5
    signal_rank TERM 0 unplugged
    for _ in $(seq 100); do
        grep -q "interrupted after" unplugged/log.txt && break
        sleep 0.1
    done
    grep "interrupted after" unplugged/log.txt || fail "rank 0 has not saved the run of a network that is gone"
    grep -m1 "hebbes: rank 0 on n1 has waited 2 s" unplugged.out || fail "nobody says that a rank does not answer"
    pkill -KILL -f 'train .*--out unplugged$' || true
    ip link set v0 up
    kill -KILL "$job" 2>/dev/null || true
    scancel --user root 2>/dev/null || true
    wait "$job" || true
    goes_on unplugged "stopped without a network, resumed by one process"
}

cd /srv
start_cluster
test_ranks_over_nodes
test_array
test_preemption
test_killed_rank 0
test_killed_rank 3
test_unplugged
echo "passed"
