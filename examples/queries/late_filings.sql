-- Which labs were late or missing how often, by cluster?
--
-- Counts intervals by the newest verdict on each, and beside them how many were ever `missing`, since a report that comes
-- after all changes the newest verdict and not the history.
WITH newest AS (
    SELECT *
    FROM 'verdicts/*.parquet'
    QUALIFY row_number() OVER (PARTITION BY lab, cluster, interval_index ORDER BY entry_index DESC) = 1
),
ever AS (
    SELECT lab, cluster, count(DISTINCT interval_index) AS ever_missing
    FROM 'verdicts/*.parquet'
    WHERE state = 'missing'
    GROUP BY lab, cluster
)
SELECT
    lab,
    cluster,
    count(*) AS intervals,
    count(*) FILTER (state = 'late') AS late,
    count(*) FILTER (state = 'missing') AS missing,
    coalesce(any_value(ever_missing), 0) AS ever_missing,
    min(assurance) AS least_assurance
FROM newest
LEFT JOIN ever USING (lab, cluster)
GROUP BY lab, cluster
ORDER BY late + missing DESC, lab, cluster;
