UPDATE invitations SET tried_at = ?2, last_error = ?3 WHERE id = ?1
