-- Raw calls that are in no segment yet. ?1 from · ?2 up to, inclusive
SELECT calls FROM inbox WHERE until >= ?1 AND since <= ?2
