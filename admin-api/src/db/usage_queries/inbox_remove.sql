-- ?1 the greatest id that was folded
DELETE FROM inbox WHERE id <= ?1
