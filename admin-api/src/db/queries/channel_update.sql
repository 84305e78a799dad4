-- ?12 the version that was read: of two simultaneous writes, the second changes nothing · ?3 another receiver's kind, or
-- NULL, with its address and seal · ?10 whether it gets alerts. With another receiver, or enabled again, it fails no longer
UPDATE channels
SET name = ?2, kind = coalesce(?3, kind), address = coalesce(?4, address), sealed = coalesce(?5, sealed),
    sealed_under = coalesce(?6, sealed_under), events = ?7, thresholds = ?8, language = ?9, enabled = ?10,
    failing_since = iif(?3 IS NULL AND enabled >= ?10, failing_since, NULL),
    rests_until = iif(?3 IS NULL AND enabled >= ?10, rests_until, NULL), updated_at = ?11, version = version + 1
WHERE id = ?1 AND version = ?12
