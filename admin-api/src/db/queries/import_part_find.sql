SELECT digest FROM imported_parts WHERE digest = ?1
