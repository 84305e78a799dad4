INSERT INTO invitations (id, email, invited_by, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
