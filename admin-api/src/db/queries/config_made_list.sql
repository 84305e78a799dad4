SELECT kind, entity_id FROM config_made
