SELECT path, id FROM routes
