-- Whose declared training operations fell by a decade or more from one interval to the next it declared?
--
-- The newest declaration (report or correction) for each cluster and interval. Band 24 means 10^24 operations or more and
-- less than 10^25, so a fall by one band may be a small one, and a fall by two is at least tenfold. Band 0 means none.
WITH declared AS (
    SELECT lab, cluster, interval_index, band, entry_index
    FROM 'reports/*.parquet'
    QUALIFY row_number() OVER (PARTITION BY lab, cluster, interval_index ORDER BY entry_index DESC) = 1
),
beside AS (
    SELECT
        *,
        lag(band) OVER previous AS band_before,
        lag(interval_index) OVER previous AS interval_before
    FROM declared
    WINDOW previous AS (PARTITION BY lab, cluster ORDER BY interval_index)
)
SELECT lab, cluster, interval_before, band_before, interval_index, band, entry_index
FROM beside
WHERE band < band_before
ORDER BY band_before - band DESC, lab, cluster, interval_index;
