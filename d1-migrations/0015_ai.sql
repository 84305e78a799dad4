-- Of prompt tokens that are written to the vendor's cache; NULL is as any.
ALTER TABLE ai_prices ADD COLUMN cache_write_micros INTEGER CHECK (cache_write_micros >= 0);

ALTER TABLE usage_events ADD COLUMN cache_write_tokens INTEGER;
ALTER TABLE usage_events ADD COLUMN reasoning_tokens INTEGER;
-- Of a call whose end was seen, such as a web socket's or an AI's stream.
ALTER TABLE usage_events ADD COLUMN duration_ms INTEGER;

-- The price list is published too, so the outbox has a third kind.
CREATE TABLE outbox_with_prices (
    id TEXT PRIMARY KEY NOT NULL,
    -- 'token': all secrets of token `entity_id`. 'routes': the route table. 'prices': the price list.
    kind TEXT NOT NULL CHECK (kind IN ('token', 'routes', 'prices')),
    entity_id TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER NOT NULL,
    last_error TEXT
) STRICT;
INSERT INTO outbox_with_prices (id, kind, entity_id, created_at, attempts, next_attempt_at, last_error)
SELECT id, kind, entity_id, created_at, attempts, next_attempt_at, last_error FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_with_prices RENAME TO outbox;
CREATE INDEX outbox_by_next_attempt ON outbox (next_attempt_at, id);
CREATE INDEX outbox_by_entity ON outbox (kind, entity_id);

-- Grows with every change to a price; 0 until the first list was published.
INSERT INTO settings (key, value, updated_at) VALUES ('prices-version', '0', unixepoch() * 1000);

-- List prices in micro-dollars for a million tokens, as published when they were read. An admin keeps
-- them up to date; a call's cost is reckoned by the price at its time.
INSERT INTO ai_prices (model, effective_at, prompt_micros, completion_micros, cached_micros, cache_write_micros, source) VALUES
    ('gpt-5.5', 1780272000000, 5000000, 30000000, 500000, NULL, 'OpenAI''s price list, June 2026'),
    ('gpt-5.4', 1780272000000, 2500000, 15000000, 250000, NULL, 'OpenAI''s price list, June 2026'),
    ('gpt-5.4-mini', 1780272000000, 750000, 4500000, 75000, NULL, 'OpenAI''s price list, June 2026'),
    ('gpt-5.4-nano', 1780272000000, 200000, 1250000, 20000, NULL, 'OpenAI''s price list, June 2026'),
    ('gpt-5.1', 1774051200000, 1250000, 10000000, NULL, NULL, 'OpenAI''s price list, March 2026'),
    ('gpt-5', 1774051200000, 1250000, 10000000, NULL, NULL, 'OpenAI''s price list, March 2026'),
    ('gpt-5-mini', 1774051200000, 250000, 2000000, NULL, NULL, 'OpenAI''s price list, March 2026'),
    ('gpt-5-nano', 1774051200000, 50000, 400000, NULL, NULL, 'OpenAI''s price list, March 2026'),
    ('gpt-4.1', 1774051200000, 2000000, 8000000, NULL, NULL, 'OpenAI''s price list, March 2026'),
    ('gpt-4.1-mini', 1774051200000, 400000, 1600000, NULL, NULL, 'OpenAI''s price list, March 2026'),
    ('gpt-4.1-nano', 1774051200000, 100000, 400000, NULL, NULL, 'OpenAI''s price list, March 2026'),
    ('gpt-4o', 1774051200000, 2500000, 10000000, 1250000, NULL, 'OpenAI''s price list, March 2026'),
    ('gpt-4o-mini', 1774051200000, 150000, 600000, 75000, NULL, 'OpenAI''s price list, March 2026'),
    ('o3', 1774051200000, 2000000, 8000000, NULL, NULL, 'OpenAI''s price list, March 2026'),
    ('o4-mini', 1774051200000, 1100000, 4400000, NULL, NULL, 'OpenAI''s price list, March 2026'),
    ('text-embedding-3-small', 1782000000000, 20000, 0, NULL, NULL, 'OpenAI''s price list, June 2026'),
    ('text-embedding-3-large', 1774051200000, 130000, 0, NULL, NULL, 'OpenAI''s price list, March 2026'),
    ('claude-opus-4-6', 1774051200000, 5000000, 25000000, 500000, 6250000, 'Anthropic''s price list, March 2026'),
    ('claude-opus-4-5', 1774051200000, 5000000, 25000000, 500000, 6250000, 'Anthropic''s price list, March 2026'),
    ('claude-opus-4-1', 1774051200000, 15000000, 75000000, 1500000, 18750000, 'docs.anthropic.com, pricing, March 2026'),
    ('claude-opus-4', 1774051200000, 15000000, 75000000, 1500000, 18750000, 'docs.anthropic.com, pricing, March 2026'),
    ('claude-sonnet-4-6', 1774051200000, 3000000, 15000000, 300000, 3750000, 'Anthropic''s price list, March 2026'),
    ('claude-sonnet-4-5', 1774051200000, 3000000, 15000000, 300000, 3750000, 'Anthropic''s price list, March 2026'),
    ('claude-sonnet-4', 1774051200000, 3000000, 15000000, 300000, 3750000, 'docs.anthropic.com, pricing, March 2026'),
    ('claude-3-7-sonnet', 1774051200000, 3000000, 15000000, 300000, 3750000, 'docs.anthropic.com, pricing'),
    ('claude-haiku-4-5', 1774051200000, 1000000, 5000000, 100000, 1250000, 'Anthropic''s price list, March 2026'),
    ('claude-3-5-haiku', 1774051200000, 800000, 4000000, 80000, 1000000, 'docs.anthropic.com, pricing'),
    ('claude-3-haiku', 1774051200000, 250000, 1250000, 30000, 300000, 'docs.anthropic.com, pricing'),
    ('gemini-2.5-pro', 1774051200000, 1250000, 10000000, NULL, NULL, 'ai.google.dev, pricing, March 2026; prompts up to 200,000 tokens'),
    ('gemini-2.5-flash', 1774051200000, 300000, 2500000, NULL, NULL, 'ai.google.dev, pricing, March 2026'),
    ('gemini-2.5-flash-lite', 1774051200000, 100000, 400000, NULL, NULL, 'ai.google.dev, pricing, January 2026');
