SELECT version, folded_to, folded_at, stored_at, lag_ms, shed FROM state
