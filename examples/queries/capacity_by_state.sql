-- Which share of the registered capacity stands in which state, for each nation in each interval?
--
-- Newest verdict on each cluster's interval; capacity as the newest registration in the ledger states it (what nations
-- say, in peak GFLOP/s by the charter's annex). A state stands beside its assurance level, always.
WITH annex AS (
    SELECT line ->> '$.model' AS model, (line ->> '$.peak_gflops')::BIGINT AS peak_gflops
    FROM (
        SELECT unnest(json_extract(payload, '$.predicate.accelerators[*]')) AS line
        FROM 'statements/*.parquet'
        WHERE entry_index = 0
    )
),
clusters AS (
    SELECT entry_index, unnest(json_extract(payload, '$.predicate.clusters[*]')) AS line
    FROM 'statements/*.parquet'
    WHERE kind = 'registration'
),
newest_clusters AS (
    SELECT line ->> '$.id' AS cluster, line
    FROM clusters
    QUALIFY row_number() OVER (PARTITION BY line ->> '$.id' ORDER BY entry_index DESC) = 1
),
models AS (
    SELECT cluster, unnest(json_extract(line, '$.capacity[*]')) AS piece
    FROM newest_clusters
),
capacity AS (
    SELECT cluster, sum((piece ->> '$.count')::BIGINT * peak_gflops)::BIGINT AS gflops
    FROM models
    JOIN annex ON annex.model = piece ->> '$.model'
    GROUP BY cluster
),
newest_verdicts AS (
    SELECT *
    FROM 'verdicts/*.parquet'
    QUALIFY row_number() OVER (PARTITION BY lab, cluster, interval_index ORDER BY entry_index DESC) = 1
),
sums AS (
    SELECT
        nation,
        interval_index,
        state,
        assurance,
        count(*) AS clusters,
        sum(coalesce(gflops, 0))::BIGINT AS gflops
    FROM newest_verdicts
    LEFT JOIN capacity USING (cluster)
    GROUP BY nation, interval_index, state, assurance
)
SELECT
    nation,
    interval_index,
    state,
    assurance,
    clusters,
    gflops,
    (gflops * 1000) // nullif(sum(gflops) OVER (PARTITION BY nation, interval_index), 0)::BIGINT AS share_permille
FROM sums
ORDER BY nation, interval_index, gflops DESC, state, assurance;
