-- How did the verdicts on a cluster's interval follow on each other?
--
-- Every cluster's interval with more than one verdict, each with its assurance level, oldest first.
SELECT
    lab,
    cluster,
    interval_index,
    list(state || ' ' || assurance ORDER BY entry_index) AS verdicts,
    list(entry_index ORDER BY entry_index) AS entries
FROM 'verdicts/*.parquet'
GROUP BY lab, cluster, interval_index
HAVING count(*) > 1
ORDER BY lab, cluster, interval_index;
