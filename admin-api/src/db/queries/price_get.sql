-- ?1 model · ?2 now
SELECT model, effective_at, prompt_micros, completion_micros, cached_micros, cache_write_micros, source
FROM ai_prices
WHERE model = ?1 AND effective_at <= ?2
ORDER BY effective_at DESC
LIMIT 1
