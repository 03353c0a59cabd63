-- Which verdicts did an inspection change, and from what to what?
--
-- A verdict with a reason that begins with FOUND_, beside the one it replaces.
SELECT
    after.lab,
    after.cluster,
    after.interval_index,
    before.state AS state_before,
    before.assurance AS assurance_before,
    after.state,
    after.assurance,
    list_filter(after.reasons, lambda reason: starts_with(reason, 'FOUND_')) AS found,
    epoch_ms(after.block_time) AS block_time_ms,
    after.entry_index
FROM 'verdicts/*.parquet' AS after
JOIN 'verdicts/*.parquet' AS before ON before.leaf_hash = after.supersedes
WHERE len(list_filter(after.reasons, lambda reason: starts_with(reason, 'FOUND_'))) > 0
    AND len(list_filter(before.reasons, lambda reason: starts_with(reason, 'FOUND_'))) = 0
ORDER BY after.entry_index;
