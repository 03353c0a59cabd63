-- How long does a statement take from its issuer's clock into a block, and from there under a seal?
--
-- By kind, in milliseconds. A block that has no seal of its own is final through the next one that has. `issued_at` is the
-- issuer's word, to the second: a negative time means that its clock is ahead of the ledger's.
WITH sealed AS (
    SELECT height, block_time FROM 'seals/*.parquet' WHERE seal IS NOT NULL
)
SELECT
    kind,
    count(*) AS entries,
    quantile_disc(epoch_ms(entries.block_time) - epoch_ms(issued_at), 0.5) AS median_issued_to_block_ms,
    quantile_disc(epoch_ms(sealed.block_time) - epoch_ms(entries.block_time), 0.5) AS median_block_to_seal_ms,
    max(epoch_ms(sealed.block_time) - epoch_ms(entries.block_time)) AS longest_block_to_seal_ms
FROM 'entries/*.parquet' AS entries
ASOF JOIN sealed ON entries.height <= sealed.height
GROUP BY kind
ORDER BY entries DESC, kind;
