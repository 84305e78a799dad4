-- Whether other tokens may be derived from it at the gateway (OAuth 2.0 Token Exchange).
ALTER TABLE tokens ADD COLUMN may_derive INTEGER NOT NULL DEFAULT 0 CHECK (may_derive IN (0, 1));
