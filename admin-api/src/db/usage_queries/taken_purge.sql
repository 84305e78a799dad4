-- ?1 first slot to keep
DELETE FROM taken WHERE slot < ?1
