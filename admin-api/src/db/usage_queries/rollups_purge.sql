-- The oldest buckets. ?1 dimensions as JSON · ?2 granularity · ?3 before · ?4 the longest time that is deleted at once
DELETE FROM rollups
WHERE dimension IN (SELECT value FROM json_each(?1)) AND granularity = ?2 AND bucket < min(?3,
    (SELECT coalesce(min(bucket), 0) + ?4 FROM rollups WHERE dimension = 'all' AND granularity = ?2))
