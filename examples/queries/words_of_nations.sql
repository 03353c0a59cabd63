-- Which nations approved which proposals and joined which pauses, and when?
--
-- The newest word of each voter on each matter, with its digest: two voters mean the same only if that is the same. The
-- proposals themselves stand in `statements`, and what came of a pause as `pause-event`.
SELECT
    matter_kind,
    matter,
    voter,
    kind,
    answer,
    epoch_ms(block_time) AS block_time_ms,
    lower(hex(content_digest)) AS content_digest,
    condition_nations,
    condition_nations_min
FROM 'votes/*.parquet'
QUALIFY row_number() OVER (PARTITION BY matter_kind, matter, voter ORDER BY entry_index DESC) = 1
ORDER BY matter_kind, matter, voter;
