-- The price in force of each model. ?1 now · ?2 part of the name, NULL means all · ?3 last name seen · ?4 limit
SELECT p.model, p.effective_at, p.prompt_micros, p.completion_micros, p.cached_micros, p.cache_write_micros, p.source
FROM ai_prices AS p
WHERE p.model > ?3
    AND (?2 IS NULL OR instr(lower(p.model), lower(?2)) > 0)
    AND p.effective_at = (SELECT max(n.effective_at) FROM ai_prices AS n WHERE n.model = p.model AND n.effective_at <= ?1)
ORDER BY p.model
LIMIT ?4
