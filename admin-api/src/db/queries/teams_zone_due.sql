-- Teams whose clocks have been changed. ?1 now
SELECT id, zone FROM teams WHERE deleted_at IS NULL AND json_extract(zone, '$.next[0]') <= ?1
