-- Which of a token's secrets are still in use, for whoever rotates one.
ALTER TABLE token_secrets ADD COLUMN last_used_at INTEGER;
