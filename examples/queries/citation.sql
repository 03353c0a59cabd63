-- Of which ledger, and under which sealed head, are the rows that these answers come from?
--
-- A file keeps the head it was written under; the newest is the one to cite, with the charter's fingerprint.
WITH facts AS (
    SELECT file_name, decode(key) AS key, decode(value) AS value
    FROM parquet_kv_metadata('seals/*.parquet')
    WHERE decode(key) LIKE 'counterseal.%'
),
files AS (
    SELECT
        any_value(value) FILTER (key = 'counterseal.ledger') AS ledger,
        any_value(value) FILTER (key = 'counterseal.origin') AS origin,
        any_value(value) FILTER (key = 'counterseal.head_height')::BIGINT AS head_height,
        any_value(value) FILTER (key = 'counterseal.head_tree_size')::BIGINT AS head_tree_size,
        any_value(value) FILTER (key = 'counterseal.head_root') AS head_root
    FROM facts
    GROUP BY file_name
)
SELECT * FROM files ORDER BY head_height DESC LIMIT 1;
