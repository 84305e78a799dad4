-- An entry for each part of an open invitation that its inviter could no longer give, before it is revoked.
-- ?1 invited addresses, ?2 inviters: both as JSON · ?3 now · ?4 request id
INSERT INTO audit (id, at, actor, action, result, entity, entity_id, team_id, before, after, request_id)
SELECT 'aud_' || lower(hex(randomblob(12))), ?3, 'system', 'revoke-invitation', 'done', 'invitation', invitation_id, team_id,
    json_object('email', email, 'role', role), json_object('reason', 'inviter', 'invited_by', invited_by), ?4
FROM invitation_parts
WHERE NOT stands AND invitation_id IN (
    SELECT id FROM invitations WHERE state IN ('pending', 'expired') AND email IN (SELECT value FROM json_each(?1))
    UNION ALL
    SELECT id FROM invitations WHERE state IN ('pending', 'expired') AND invited_by IN (SELECT value FROM json_each(?2)))
