SELECT CAST(value AS INTEGER) AS version FROM settings WHERE key = 'prices-version'
