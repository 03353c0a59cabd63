#!/bin/bash
# Start a database, munge, slurmdbd, slurmctld and a slurmd per node, run the jobs of jobs.sh, export, stop.
# Called by isolate.sh: cluster.sh CLUSTER MODEL:COUNT NODES OUTPUT
set -u
C=$1; GRES=$2; NODES=$3; OUT=$4
hostname $C-ctl
B=/srv/$C; rm -rf $B; mkdir -p $B/{gpu,tmp,etc,state,spool,log,db,run,runs}; chmod 755 $B $B/*; chmod 1777 $B/tmp $B/runs $B/run $B/log
mkdir -p $OUT
MODEL=${GRES%%:*}; COUNT=${GRES##*:}
cat > $B/etc/slurm.conf <<CONF
ClusterName=$C
SlurmctldHost=$C-ctl(127.0.0.1)
SlurmUser=slurm
AuthType=auth/munge
StateSaveLocation=$B/state
SlurmdSpoolDir=$B/spool/%n
SlurmctldPidFile=$B/run/slurmctld.pid
SlurmdPidFile=$B/run/slurmd-%n.pid
SlurmctldLogFile=$B/log/slurmctld.log
SlurmdLogFile=$B/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=600
KillWait=5
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStorageTRES=gres/gpu,gres/gpu:$MODEL
NodeName=$C-n[1-$NODES] NodeHostname=$C-ctl NodeAddr=127.0.0.1 Port=[7101-$((7100+NODES))] CPUs=128 RealMemory=500000 Gres=gpu:$MODEL:$COUNT State=UNKNOWN
PartitionName=train Nodes=ALL Default=YES MaxTime=60 State=UP
PartitionName=serve Nodes=ALL MaxTime=60 State=UP
CONF
cat > $B/etc/gres.conf <<CONF
AutoDetect=off
NodeName=$C-n[1-$NODES] Name=gpu Type=$MODEL File=$B/gpu/gpu[0-$((COUNT-1))]
CONF
if [ -e /usr/lib/x86_64-linux-gnu/slurm-wlm/openapi_dbv0_0_38.so ]; then echo "CgroupPlugin=cgroup/v1"; else echo "CgroupPlugin=disabled"; fi > $B/etc/cgroup.conf
cat > $B/etc/slurmdbd.conf <<CONF
AuthType=auth/munge
DbdHost=$C-ctl
DbdAddr=127.0.0.1
SlurmUser=slurm
LogFile=$B/log/slurmdbd.log
PidFile=$B/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StorageUser=slurm
StoragePass=slurm
StorageLoc=acct
CONF
chown -R slurm $B/etc $B/state $B/log; chmod 600 $B/etc/slurmdbd.conf
export SLURM_CONF=$B/etc/slurm.conf
mkdir -p /run/munge; chown munge /run/munge
for i in $(seq 0 $((COUNT-1))); do touch $B/gpu/gpu$i; done; echo "127.0.0.1 localhost $C-ctl" > $B/etc/hosts; mount --bind $B/etc/hosts /etc/hosts
chown munge: /etc/munge/munge.key
runuser -u munge -- munged --force --pid-file=$B/run/munged.pid --log-file=$B/log/munged.log
chown -R mysql $B/db
mariadb-install-db --no-defaults --user=mysql --datadir=$B/db --auth-root-authentication-method=normal >/dev/null 2>&1
mariadbd --no-defaults --user=mysql --datadir=$B/db --socket=$B/run/db.sock --bind-address=127.0.0.1 --tmpdir=$B/tmp --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 > $B/log/db.log 2>&1 &
for i in $(seq 60); do mariadb --no-defaults -uroot -S $B/run/db.sock -e "CREATE USER 'slurm'@'127.0.0.1' IDENTIFIED BY 'slurm'; CREATE USER 'slurm'@'localhost' IDENTIFIED BY 'slurm'; CREATE DATABASE acct; GRANT ALL ON acct.* TO 'slurm'@'127.0.0.1'; GRANT ALL ON acct.* TO 'slurm'@'localhost';" 2>/dev/null && break; sleep 1; done
slurmdbd; for i in $(seq 60); do sacctmgr -i add cluster $C >/dev/null 2>&1 && break; sleep 1; done
slurmctld; sleep 2
for n in $(seq $NODES); do mkdir -p $B/spool/$C-n$n; slurmd -N $C-n$n; done
for a in pretraining post-training serving evals research; do sacctmgr -i add account $a Cluster=$C >/dev/null; done
sacctmgr -i add qos urgent > /dev/null
for ua in trainer:pretraining tuner:post-training server:serving evaluator:evals researcher:research; do sacctmgr -i add user ${ua%%:*} account=${ua##*:} >/dev/null; done
for i in $(seq 30); do sinfo -h -o %T | grep -q idle && break; sleep 1; done
sinfo
. $(dirname $0)/jobs.sh
. $(dirname $0)/export.sh
for d in $B/run/*.pid; do kill $(cat $d) 2>/dev/null; done; sleep 1
