INSERT INTO ai_prices (model, effective_at, prompt_micros, completion_micros, cached_micros, cache_write_micros, source)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT (model, effective_at) DO UPDATE SET prompt_micros = excluded.prompt_micros,
    completion_micros = excluded.completion_micros, cached_micros = excluded.cached_micros,
    cache_write_micros = excluded.cache_write_micros, source = excluded.source
