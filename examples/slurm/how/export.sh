# Export the accounting as its user would: no root, no terminal. Sourced by cluster.sh.
since=$(date -d @$((T0-60)) +%Y-%m-%dT%H:%M:%S)
chmod 777 $OUT
sacctmgr -i modify user evaluator set adminlevel=Operator >/dev/null     # may see all users' jobs
as_operator() { runuser -u evaluator -- env SLURM_CONF=$SLURM_CONF "$@" </dev/null; }
as_operator sacct --json --duplicates -a -S $since > $OUT/$C.json
for parser in v0.0.40 v0.0.41 v0.0.42+complex; do                          # 23.11 and later know several shapes
  as_operator sacct --json=$parser --duplicates -a -S $since > $OUT/$C-$parser.json 2>/dev/null || rm $OUT/$C-$parser.json
done
