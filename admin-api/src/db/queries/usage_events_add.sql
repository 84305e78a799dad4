-- Must be the last of the batch: once inserted, these events have been counted.
INSERT INTO usage_events (
    id, at, token_id, team_id, route_id, route_path, path, method, status, outcome, latency_ms, gateway_ms,
    bytes_in, bytes_out, client_ip, user_agent, country, request_id, model, prompt_tokens,
    completion_tokens, cached_tokens, cost_micros, cache_write_tokens, reasoning_tokens, duration_ms)
SELECT
    value ->> 'id', value ->> 'at', value ->> 'token_id', value ->> 'team_id', value ->> 'route_id',
    value ->> 'route_path', value ->> 'path', value ->> 'method', value ->> 'status', value ->> 'outcome',
    value ->> 'latency_ms', value ->> 'gateway_ms', value ->> 'bytes_in', value ->> 'bytes_out',
    value ->> 'client_ip', value ->> 'user_agent', value ->> 'country', value ->> 'request_id',
    value ->> 'model', value ->> 'prompt_tokens', value ->> 'completion_tokens', value ->> 'cached_tokens',
    value ->> 'cost_micros', value ->> 'cache_write_tokens', value ->> 'reasoning_tokens', value ->> 'duration_ms'
FROM json_each(?1)
WHERE true
ON CONFLICT (id) DO NOTHING
