DELETE FROM ai_prices WHERE model = ?1
