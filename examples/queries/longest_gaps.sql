-- For how many intervals in a row did a cluster file nothing?
--
-- Runs of consecutive intervals whose newest verdict is `missing`, the longest first.
WITH newest AS (
    SELECT *
    FROM 'verdicts/*.parquet'
    QUALIFY row_number() OVER (PARTITION BY lab, cluster, interval_index ORDER BY entry_index DESC) = 1
),
numbered AS (
    SELECT
        *,
        interval_index - row_number() OVER (PARTITION BY lab, cluster ORDER BY interval_index) AS island
    FROM newest
    WHERE state = 'missing'
)
SELECT
    lab,
    cluster,
    count(*) AS intervals,
    min(interval_index) AS first_interval,
    max(interval_index) AS last_interval,
    min(assurance) AS least_assurance
FROM numbered
GROUP BY lab, cluster, island
ORDER BY intervals DESC, lab, cluster, first_interval;
