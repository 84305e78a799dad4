-- The end of a try. ?1 id · ?2 state · ?3 when it is tried next · ?4 status · ?5 beginning of the response · ?6 the number of
-- the try: one that was overtaken changes nothing
UPDATE deliveries SET state = ?2, next_at = ?3, status = ?4, response = ?5 WHERE id = ?1 AND attempts = ?6
