-- How many blocks did each nation propose, and how many attempts failed in all?
--
-- Who voted for a block is not on the ledger: the seal is one signature of a quorum. A view that no block was notarized in
-- is an attempt of some member that came to nothing.
WITH epochs AS (
    SELECT epoch, max(view_number) - count(*) AS failed
    FROM 'seals/*.parquet'
    WHERE proposer IS NOT NULL
    GROUP BY epoch
)
SELECT
    proposer,
    count(*) AS blocks,
    sum(entry_count)::BIGINT AS entries,
    (SELECT sum(failed)::BIGINT FROM epochs) AS failed_attempts_of_all
FROM 'seals/*.parquet'
WHERE proposer IS NOT NULL
GROUP BY proposer
ORDER BY blocks DESC, proposer;
