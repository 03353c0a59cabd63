# The jobs of one cluster; sourced by cluster.sh. VARIANT 1: pre-training and all else. 2: serving and fine-tuning. 3: one large run.
# J USER PARTITION GPUS/NODE NODES LIMIT NAME SECONDS [sbatch options…]; prints the job id
J() { local user=$1 part=$2 gpus=$3 nodes=$4 limit=$5 name=$6 secs=$7; shift 7
  local gres=(); [ $gpus != 0 ] && gres=(--gres=gpu:$MODEL:$gpus)
  runuser -u $user -- sbatch --parsable -D /srv/$C/runs -o /dev/null -p $part -N $nodes -t $limit -J $name "${gres[@]}" "$@" --wrap "sleep $secs"; }
G=$COUNT; H=$((COUNT/2))
T0=$(date +%s); echo $T0 > $OUT/t0
at() { local left=$(( T0 + $1 - $(date +%s) )); [ $left -gt 0 ] && sleep $left; return 0; }
if [ $VARIANT = 1 ]; then   # mostly pre-training
  P1=$(J trainer train $G $NODES 10 pretrain-atlas-7b 70)
  J tuner train 1 1 10 sft-atlas-7b 20
  at 10; REQ=$(J tuner train $H 1 10 rlhf-atlas-7b 35)
  J evaluator train 2 1 10 eval-mmlu 12
  at 75; P2=$(J trainer train $G $((NODES>1?NODES-1:1)) 10 pretrain-atlas-7b 60)
  S1=$(J server serve $H 1 30 serve-chat 170)
  at 80; F1=$(runuser -u researcher -- sbatch --parsable -D /srv/$C/runs -o /dev/null -p train -t 5 -J debug-loader --gres=gpu:$MODEL:1 --wrap "sleep 6; exit 3")
  at 95; scontrol requeue $REQ
  X1=$(J researcher train 1 1 10 ablation-width 60)
  TO=$(J researcher train 1 1 1 sweep-timeout 300)
  runuser -u researcher -- sbatch --parsable -D /srv/$C/runs -o /dev/null -p train -t 5 -J lr-sweep --gres=gpu:$MODEL:1 --array=0-3 --wrap 'sleep $((8 + 4 * SLURM_ARRAY_TASK_ID))'
  J researcher train 0 1 5 tokenize-shards 25 -c 16
  at 120; scancel $X1
  SUS=$(J trainer train 2 1 10 pretrain-nano-300m 40)
  at 132; scontrol suspend $SUS; at 147; scontrol resume $SUS
  at 150; runuser -u researcher -- sbatch --parsable -D /srv/$C/runs -o /dev/null -t 5 -J coupled -p train --gres=gpu:$MODEL:1 : -p train --gres=gpu:$MODEL:2 --wrap 'sleep 14'
  at 170; J evaluator train 1 1 5 eval-safety 15 -q urgent
  at 185; J tuner train $H 1 10 dpo-atlas-7b 30
  at 215; P3=$(J trainer train $H 1 30 pretrain-atlas-7b 400)
  J evaluator train 3 1 5 eval-code 20
  PEND=$(J trainer train $G $NODES 30 pretrain-atlas-13b 300)
  CANP=$(J researcher train $G $NODES 30 never-ran 300); at 225; scancel $CANP
  at 262
elif [ $VARIANT = 2 ]; then   # mostly serving, some fine-tuning
  S1=$(J server serve $H 1 30 serve-chat 110)
  S2=$(J server serve 2 1 30 serve-embeddings 600)
  at 8; J tuner train 2 1 10 sft-harbour-3b 45
  at 20; J evaluator train 1 1 5 eval-harbour 10
  FAIL=$(runuser -u tuner -- sbatch --parsable -D /srv/$C/runs -o /dev/null -p train -t 5 -J rlhf-harbour-3b --gres=gpu:$MODEL:1 --wrap "sleep 9; exit 1")
  at 60; REQ=$(J tuner train 1 1 10 rlhf-harbour-3b 50); at 75; scontrol requeue $REQ
  at 80; runuser -u evaluator -- sbatch --parsable -D /srv/$C/runs -o /dev/null -p train -t 5 -J eval-suite --gres=gpu:$MODEL:1 --array=1-5%2 --wrap 'sleep 14'
  at 115; J server serve $H 1 30 serve-chat 100
  at 125; J researcher train 0 1 5 build-index 40 -c 8
  TO=$(J researcher train 1 1 1 probe-timeout 300)
  at 140; X1=$(J researcher train 1 1 5 ablation-lora 60); at 160; scancel $X1
  at 205; J evaluator train 1 1 5 eval-tail 30
  at 212; J server serve $H 1 30 serve-chat 300
  at 262
else   # one large run, in pieces
  P1=$(J trainer train $G $NODES 10 pretrain-colossus-70b 100)
  at 105; X1=$(J trainer train $G $NODES 10 pretrain-colossus-70b 90)
  at 150; scancel $X1
  at 158; J trainer train $G $NODES 10 pretrain-colossus-70b 55
  J researcher train 0 1 5 dedupe-corpus 60 -c 32
  at 216; REQ=$(J trainer train $H 1 10 pretrain-colossus-7b 25); J evaluator train 1 1 5 eval-colossus 12
  runuser -u researcher -- sbatch --parsable -D /srv/$C/runs -o /dev/null -p train -t 5 -J ablation --gres=gpu:$MODEL:1 --array=0-2 --wrap 'sleep 11'
  FAIL=$(runuser -u tuner -- sbatch --parsable -D /srv/$C/runs -o /dev/null -p train -t 5 -J sft-colossus --gres=gpu:$MODEL:1 --wrap "sleep 9; exit 1")
  runuser -u researcher -- sbatch --parsable -D /srv/$C/runs -o /dev/null -t 5 -J coupled -p train --gres=gpu:$MODEL:1 : -p train --gres=gpu:$MODEL:2 --wrap 'sleep 14'
  at 222; scontrol requeue $REQ
  TO=$(J tuner train 1 1 1 rlhf-timeout 300)
  at 250; J trainer train $H 1 30 pretrain-colossus-70b 300
  at 345; SUS=$(J trainer train 1 1 10 pretrain-nano 30); at 352; scontrol suspend $SUS; at 362; scontrol resume $SUS
  J evaluator train 1 1 5 eval-final 14
  PEND=$(J trainer train $G $NODES 30 pretrain-colossus-140b 300)
  at 378
fi
sleep 6; squeue
