#!/usr/bin/env bash
# A SLURM cluster of two nodes on this machine, in namespaces over an overlay of its file system: nothing outside changes. Runs jobs.sh in
# it. Needs root, overlay mounts and Debian's packages; where one is missing it says so and ends with code 77.
#
# usage: tests/slurm/cluster.sh HEBBES FOLDER          FOLDER keeps the overlay with its packages for the next time
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

skip() {
    echo "skipped: $*"
    exit 77
}

hebbes=$(realpath "$1")
if [ "${HB_IN_NAMESPACE:-}" != 1 ]; then
    unshare -mpfu --mount-proc true 2>/dev/null || skip "no namespaces here"
    HB_IN_NAMESPACE=1 exec unshare -mpfu --mount-proc "${BASH_SOURCE[0]}" "$hebbes" "$2"
fi

work=$2
top=$work/top
mkdir -p "$work/upper" "$work/scratch" "$top"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/scratch" "$top" 2>/dev/null || {
    # Where / is an overlay itself, an upper layer cannot stand in it.
    mount -t tmpfs tmpfs "$work"
    mkdir -p "$work/upper" "$work/scratch" "$top"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/scratch" "$top" 2>/dev/null || skip "no overlay mounts here"
}
mount -t proc proc "$top/proc"
mount --rbind /dev "$top/dev"
mount --rbind /sys "$top/sys"
if [ ! -x "$top/usr/sbin/slurmctld" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$top/usr/sbin/policy-rc.d" # packages start no services
    chmod +x "$top/usr/sbin/policy-rc.d"
    chroot "$top" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge openmpi-bin >"$work/install.log" 2>&1 ||
        skip "SLURM's packages cannot be installed here"
fi
mkdir -p "$top$root"
mount --rbind "$root" "$top$root"
for folder in run tmp srv; do mount -t tmpfs tmpfs "$top/$folder"; done
cp "$here/slurm.conf" "$here/jobs.sh" "$top/srv"
# shellcheck disable=SC2016 # the inner shell expands them
exec unshare -n bash -c '
    ip link set lo up && ip link add v0 type veth peer name v1 && ip addr add 10.77.0.1/24 dev v0 && ip link set v0 up || exit 77
    hostname n1
    exec chroot "$1" bash /srv/jobs.sh "$2" "$3"' bash "$top" "$hebbes" "$root"
