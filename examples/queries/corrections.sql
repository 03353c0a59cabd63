-- Who corrected what, how long after the entry that is corrected, and why?
SELECT
    correction.lab,
    correction.interval_index,
    correction.entry_index,
    original.entry_index AS corrects_entry_index,
    epoch_ms(correction.block_time) - epoch_ms(original.block_time) AS after_ms,
    correction.corrects_reason
FROM 'reports/*.parquet' AS correction
JOIN 'entries/*.parquet' AS original ON original.leaf_hash = correction.corrects
WHERE correction.row_index = 0
ORDER BY correction.entry_index;
