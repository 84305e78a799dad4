-- The keys of some slots. ?1 slots as JSON
SELECT slot, keys FROM taken WHERE slot IN (SELECT value FROM json_each(?1))
