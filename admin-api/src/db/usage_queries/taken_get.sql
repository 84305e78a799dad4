-- The keys of some minutes. ?1 minutes as JSON
SELECT slot, keys FROM taken WHERE slot IN (SELECT value FROM json_each(?1))
