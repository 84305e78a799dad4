UPDATE invitations SET state = 'expired' WHERE state = 'pending' AND expires_at <= ?1
