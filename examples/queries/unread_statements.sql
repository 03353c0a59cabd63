-- Which entries could the release that wrote the files not read, or not know?
SELECT entry_index, kind, issuer, octet_length(entry) AS size_bytes, lower(hex(leaf_hash)) AS leaf_hash
FROM 'statements/*.parquet'
WHERE entry IS NOT NULL
ORDER BY entry_index;
