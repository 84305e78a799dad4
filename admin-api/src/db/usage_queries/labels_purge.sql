-- The oldest days. ?1 before · ?2 the longest time that is deleted at once
DELETE FROM labels WHERE day < min(?1, (SELECT coalesce(min(day), 0) + ?2 FROM labels))
