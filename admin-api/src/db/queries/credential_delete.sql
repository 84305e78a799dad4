-- Only if the statement before it in the batch changed something.
DELETE FROM credentials WHERE route_id = ?1 AND changes() > 0
