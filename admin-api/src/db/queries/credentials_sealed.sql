SELECT route_id, origin, sealed FROM credentials
