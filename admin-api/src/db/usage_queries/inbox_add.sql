-- A batch of messages. ?1 id: one above the last that was seen; if another batch has it, or a fold has passed it, the
-- schema refuses it · ?2 now · ?3 age of the oldest message · ?4, ?5 times of the first and last raw call ·
-- ?6 sums · ?7 raw calls, packed · ?8 their head · ?9 sums of labels · ?10 sums by model
INSERT INTO inbox (id, at, lag_ms, since, until, sums, calls, head, labels, models)
SELECT iif(?1 > folded_to, ?1, NULL), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 FROM state
