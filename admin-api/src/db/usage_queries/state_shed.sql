-- ?1 raw calls that were deleted for want of room
UPDATE state SET shed = shed + ?1
