-- Of two accounts with one address the one that Clerk told us of last has it: nobody else is known by
-- it any more. ?1 the person · ?2 the address
UPDATE users SET email_verified = 0
WHERE email = ?2 COLLATE NOCASE AND id <> ?1 AND email_verified = 1
    AND EXISTS (SELECT 1 FROM users WHERE id = ?1 AND email = ?2 COLLATE NOCASE AND email_verified = 1)
