#!/bin/bash
# Run one cluster in its own host name, network, mounts and processes, so that several fit on one machine and nothing
# of the machine shows in an export. As root: isolate.sh VARIANT CLUSTER MODEL:COUNT NODES OUTPUT [ROOT]
# ROOT is / for the Slurm of this machine (22.05 on Debian 12) or a debootstrap folder with another one (24.11 on 13).
variant=$1 cluster=$2 gres=$3 nodes=$4 output=$5 root=${6:-/}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$root/srv/how" && cp "$here"/{cluster,jobs,export}.sh "$root/srv/how/" && touch "$root/etc/hosts"
users=$(mktemp -d)
cp "$root/etc/passwd" "$root/etc/group" "$users"
id=3001
for user in trainer tuner server evaluator researcher; do
  echo "$user:x:$id:$id::/srv:/bin/sh" >>"$users/passwd"
  echo "$user:x:$id:" >>"$users/group"
  id=$((id + 1))
done
VARIANT=$variant unshare --uts --net --mount --pid --fork --kill-child bash -c "
  mount --make-rprivate /
  ip link set lo up; ip link add v0 type veth peer name v1; ip addr add 10.77.0.1/24 dev v0   # Slurm wants an address
  ip link set v0 up; ip link set v1 up                                                        # beside the loopback one
  mount -t tmpfs tmpfs $root/run; mkdir -p $root/run/munge; mount -t proc proc $root/proc
  mount --bind $users/passwd $root/etc/passwd; mount --bind $users/group $root/etc/group
  [ $root = / ] || mount --rbind /dev $root/dev
  exec chroot $root /bin/bash /srv/how/cluster.sh $cluster $gres $nodes $output
"
