-- ?1 since
SELECT coalesce(sum(dropped), 0) AS dropped, coalesce(sum(undecodable), 0) AS undecodable FROM losses WHERE at >= ?1
