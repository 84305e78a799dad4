-- Whether there is any secret of the earlier form.
SELECT EXISTS (SELECT 1 FROM token_secrets WHERE legacy = 1) AS legacy
