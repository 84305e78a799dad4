UPDATE invitations SET state = 'revoked' WHERE id = ?1 AND state IN ('pending', 'expired')
