-- The fingerprint of the key that a credential is sealed under; '!' before it where no key opens it.
-- What the cron finds under another key than the present one it seals anew.
ALTER TABLE credentials ADD COLUMN sealed_under TEXT NOT NULL DEFAULT '';
