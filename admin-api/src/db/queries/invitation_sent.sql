UPDATE invitations SET clerk_id = ?2, sent_at = ?3, tried_at = ?3, last_error = NULL WHERE id = ?1
