-- ?1 first minute to keep
DELETE FROM taken WHERE slot < ?1
