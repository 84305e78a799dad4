-- Undoes the batch if another fold came first. ?1 version that was read · ?2 folded to · ?3 now · ?4 when the last batch
-- was stored · ?5 its age then
UPDATE state SET version = iif(version = ?1, version + 1, NULL), folded_to = ?2, folded_at = ?3,
    stored_at = max(stored_at, ?4), lag_ms = ?5
