SELECT id FROM routes WHERE path = ?1
