// After a restore: removes from the restored database everything that is not allowed now. Each step can be repeated.
import { counter } from "../operate.mjs";
import { putBackAudit } from "./audit.mjs";
import { keptPages, keptRows, note, notesOf } from "./kept.mjs";
import {
  credentialOf,
  mayAssign,
  narrowInvitation,
  narrowRole,
  narrowRoute,
  narrowSecret,
  narrowTeam,
  narrowToken,
  settingOf,
} from "./narrowed.mjs";
import { all, insert, pages, remove, rowsOf, update } from "./tables.mjs";

const by = (rows, ...keys) => new Map(rows.map((row) => [keys.map((key) => row[key]).join(" "), row]));
/** Stands in as a team's admin while the last one is removed: the schema always requires one. */
const STAND_IN = "restore-stand-in";

/** Carries everything over. Returns notes for the operator, one per line. */
export async function takeBack(sql, stage) {
  const notes = { push: (...texts) => texts.forEach((text) => note(stage, text)) };
  const say = (result) => result && notes.push(...result.notes);
  const now = Date.now();
  await settings(sql, stage, now);
  const teams = await teamsBefore(sql, stage, say);
  await users(sql, stage, now);
  await memberships(sql, stage, now, notes);
  await invitations(sql, stage, say);
  await tokens(sql, stage, teams, now, notes, say);
  await secrets(sql, stage, now, notes);
  await apiKeys(sql, stage, now, notes);
  await routes(sql, stage, now, notes, say);
  await channels(sql, stage, now, notes);
  await putBackAudit(sql, stage, notes);
  // Last: only an empty team can be deleted.
  const deleted = teams.now.filter((team) => team.deleted_at !== null);
  await update(
    sql,
    "teams",
    deleted.map(({ id, deleted_at }) => ({ id, deleted_at })),
  );
  return notesOf(stage);
}

async function settings(sql, stage, now) {
  const [was, is] = [by(await all(sql, "settings"), "key"), by(await keptRows(stage, "settings"), "key")];
  const rows = [...new Set([...was.keys(), ...is.keys()])].flatMap((key) => {
    const value = settingOf(key, was.get(key)?.value, is.get(key)?.value);
    return value === undefined ? [] : [{ key, value, updated_at: is.get(key)?.updated_at ?? now }];
  });
  await insert(sql, "settings", rows, { replace: true });
}

/** Teams created since are put back: tokens refer to them, and an empty team grants nothing. */
async function teamsBefore(sql, stage, say) {
  const [was, is] = [by(await all(sql, "teams"), "id"), await keptRows(stage, "teams")];
  const results = is
    .filter(({ id }) => was.has(id))
    .map((team) => narrowTeam(was.get(team.id), team))
    .filter(Boolean);
  results.forEach(say);
  await update(
    sql,
    "teams",
    results.map(({ row }) => row),
  );
  await insert(
    sql,
    "teams",
    is.filter(({ id }) => !was.has(id)).map((team) => ({ ...team, deleted_at: null })),
  );
  return { then: was, now: is };
}

/** People keep Clerk's current data, which grants nothing; deleted people stay deleted. */
async function users(sql, stage, now) {
  const [was, is] = [by(await all(sql, "users"), "id"), await keptRows(stage, "users")];
  const known = by(is, "id");
  await insert(
    sql,
    "users",
    is.filter((user) => was.has(user.id) || user.deleted_at !== null),
    { replace: true },
  );
  const gone = [...was.values()].filter(
    ({ id, deleted_at }) => !known.has(id) && deleted_at === null && id !== STAND_IN,
  );
  await update(
    sql,
    "users",
    gone.map(({ id }) => ({ id, deleted_at: now })),
  );
}

async function memberships(sql, stage, now, notes) {
  const is = by(await keptRows(stage, "memberships"), "user_id", "team_id");
  const was = (await all(sql, "memberships")).filter(({ user_id }) => user_id !== STAND_IN);
  const lowered = [];
  const gone = [];
  for (const member of was) {
    const role = narrowRole(member.role, is.get(`${member.user_id} ${member.team_id}`)?.role);
    if (role === null) gone.push(member);
    else if (role !== member.role) lowered.push({ ...member, role });
  }
  for (const { user_id, team_id, role } of gone)
    notes.push(`${user_id} is not ${role} of ${team_id} any more`);
  for (const { user_id, team_id, role } of lowered) notes.push(`${user_id} is ${role} of ${team_id}, as now`);
  const touched = [...new Set([...gone, ...lowered].map(({ team_id }) => team_id))];
  if (touched.length > 0) {
    await insert(sql, "users", [{ id: STAND_IN, created_at: now, updated_at: now, deleted_at: null }], {
      replace: true,
    });
    const living = await sql(
      "SELECT id FROM teams WHERE deleted_at IS NULL AND id IN (SELECT value FROM json_each(?1))",
      [JSON.stringify(touched)],
    );
    await insert(
      sql,
      "memberships",
      living.map(({ id }) => ({ user_id: STAND_IN, team_id: id, role: "ADMIN", created_at: now })),
    );
    await update(
      sql,
      "memberships",
      lowered.map(({ user_id, team_id, role }) => ({ user_id, team_id, role })),
    );
    await remove(sql, "memberships", gone);
  }
  await sql("UPDATE users SET deleted_at = ?2 WHERE id = ?1", [STAND_IN, now]);
  await sql("DELETE FROM memberships WHERE user_id = ?1", [STAND_IN]);
  await sql("DELETE FROM users WHERE id = ?1", [STAND_IN]);
  const without =
    await sql(`SELECT t.id FROM teams AS t WHERE t.deleted_at IS NULL AND EXISTS (SELECT 1 FROM memberships AS m WHERE m.team_id = t.id)
    AND NOT EXISTS (SELECT 1 FROM memberships AS m JOIN users AS u ON u.id = m.user_id WHERE m.team_id = t.id AND m.role = 'ADMIN' AND u.deleted_at IS NULL)`);
  for (const { id } of without)
    notes.push(`team ${id} has no ADMIN: who was it then is not any more. A platform admin names one`);
}

async function invitations(sql, stage, say) {
  const is = by(await keptRows(stage, "invitations"), "id");
  const offers = by(await keptRows(stage, "invitation_teams"), "invitation_id", "team_id");
  const parts = await all(sql, "invitation_teams");
  const rolesOf = new Map();
  const members = await sql(
    "SELECT m.user_id, m.team_id, m.role FROM memberships AS m JOIN users AS u ON u.id = m.user_id WHERE u.deleted_at IS NULL",
  );
  for (const { user_id, team_id, role } of members)
    rolesOf.set(user_id, (rolesOf.get(user_id) ?? new Map()).set(team_id, role));

  const isOffered = (part) =>
    !is.has(part.invitation_id) || offers.has(`${part.invitation_id} ${part.team_id}`);
  await remove(
    sql,
    "invitation_teams",
    parts.filter((part) => !isOffered(part)),
  );
  const left = parts.filter(isOffered).map((part) => ({
    ...part,
    role: narrowRole(part.role, offers.get(`${part.invitation_id} ${part.team_id}`)?.role ?? part.role),
  }));
  await update(sql, "invitation_teams", left);
  const results = (await all(sql, "invitations"))
    .map((invitation) => {
      const mine = left.filter((part) => part.invitation_id === invitation.id);
      const roles = rolesOf.get(invitation.invited_by) ?? new Map();
      const mayInvite = mine.length > 0 && mine.every(({ team_id, role }) => mayAssign(roles, team_id, role));
      return narrowInvitation(invitation, is.get(invitation.id), mayInvite);
    })
    .filter(Boolean);
  results.forEach(say);
  await update(
    sql,
    "invitations",
    results.map(({ row }) => row),
  );
}

/** Tokens created since come back revoked and are published: nothing else would remove them from KV. */
async function tokens(sql, stage, teams, now, notes, say) {
  const nowTeams = by(teams.now, "id");
  const [{ total }] = await sql("SELECT count(*) AS total FROM tokens");
  const progress = counter("tokens compared", total);
  let done = 0;
  for await (const page of keptPages(stage, "tokens")) {
    const is = [...by(page, "id").values()];
    const was = by(
      await rowsOf(
        sql,
        "tokens",
        is.map(({ id }) => id),
      ),
      "id",
    );
    const known = is.filter(({ id }) => was.has(id));
    const results = known
      .map((token) =>
        narrowToken(was.get(token.id), token, teams.then.get(token.team_id), nowTeams.get(token.team_id)),
      )
      .filter(Boolean);
    results.forEach(say);
    await update(
      sql,
      "tokens",
      results.map(({ row }) => ({ ...row, updated_at: now })),
    );
    const since = is
      .filter(({ id }) => !was.has(id))
      .map((token) => ({
        ...token,
        revoked_at: token.revoked_at ?? now,
        version: token.version + 1,
        updated_at: now,
      }));
    for (const { id, name } of since) notes.push(`token ${id} (${name}) was made since: it is revoked`);
    await insert(sql, "tokens", since);
    progress((done += known.length));
  }
}

/** A secret that is no longer there had ended; one added since keeps working, since it may be its token's only one. */
async function secrets(sql, stage, now, notes) {
  const known = new Set();
  for await (const page of keptPages(stage, "token_secrets")) {
    const is = [...by(page, "hash").values()];
    is.forEach(({ hash }) => known.add(hash));
    const was = by(
      await rowsOf(
        sql,
        "token_secrets",
        is.map(({ hash }) => hash),
      ),
      "hash",
    );
    const results = is
      .filter(({ hash }) => was.has(hash))
      .map((secret) => narrowSecret(was.get(secret.hash), secret))
      .filter(Boolean);
    await update(
      sql,
      "token_secrets",
      results.map(({ row }) => row),
    );
    await insert(
      sql,
      "token_secrets",
      is.filter(({ hash }) => !was.has(hash)),
    );
  }
  for await (const page of pages(sql, "token_secrets", `(ends_at IS NULL OR ends_at > ${now})`)) {
    const gone = page.filter(({ hash }) => !known.has(hash));
    for (const { token_id, hint_end } of gone)
      notes.push(`the secret …${hint_end} of token ${token_id} had ended since: it stays so`);
    await update(
      sql,
      "token_secrets",
      gone.map(({ hash }) => ({ hash, ends_at: now })),
    );
  }
}

/**
 * Admin API keys: one that was revoked or has ended since stays so, and one made since is not put back. A secret that
 * was added since keeps working; one that is no longer there had ended.
 */
async function apiKeys(sql, stage, now, notes) {
  const [was, is] = [by(await all(sql, "api_keys"), "id"), await keptRows(stage, "api_keys")];
  await update(
    sql,
    "api_keys",
    is
      .filter(({ id }) => was.has(id))
      .map(({ id, revoked_at, expires_at, version }) => ({
        id,
        revoked_at,
        expires_at,
        version: Math.max(version, was.get(id).version) + 1,
      })),
  );
  for (const { id, name } of is.filter(({ id }) => !was.has(id)))
    notes.push(`API key ${id} (${name}) was made since and is not there any more`);
  const secrets = await keptRows(stage, "api_key_secrets");
  const known = new Set(secrets.map(({ hash }) => hash));
  const before = await all(sql, "api_key_secrets");
  await update(
    sql,
    "api_key_secrets",
    before.filter(({ hash }) => !known.has(hash)).map(({ hash }) => ({ hash, ends_at: now })),
  );
  const present = secrets.filter(({ key_id }) => was.has(key_id));
  await insert(sql, "api_key_secrets", present);
  await update(
    sql,
    "api_key_secrets",
    present.map(({ hash, ends_at }) => ({ hash, ends_at })),
  );
}

async function routes(sql, stage, now, notes, say) {
  const is = by(await keptRows(stage, "routes"), "id");
  const credentials = by(await keptRows(stage, "credentials"), "route_id");
  const keys =
    JSON.parse(
      (await sql("SELECT value FROM settings WHERE key = 'keys'"))[0]?.value ?? "{}",
    ).CREDENTIAL_KEY?.split(",") ?? [];
  const [was, sealed] = [await all(sql, "routes"), by(await all(sql, "credentials"), "route_id")];
  const [changes, put, drop] = [[], [], []];
  for (const route of was) {
    const result = narrowRoute(route, is.get(route.id));
    say(result);
    const present = is.has(route.id) ? (credentials.get(route.id) ?? null) : undefined;
    const fate = credentialOf(route, sealed.get(route.id), present, keys);
    if (fate.put) put.push(fate.put);
    if (fate.drop) drop.push({ route_id: route.id });
    const row = result?.row ?? (fate.disable ? narrowRoute(route, undefined).row : null);
    const isOn = (row ?? route).enabled === 1;
    if (row) changes.push({ ...row, enabled: fate.disable ? 0 : row.enabled, updated_at: now });
    if (fate.note && (fate.drop || isOn || (fate.disable && route.enabled === 1))) notes.push(fate.note);
  }
  await update(sql, "routes", changes);
  await insert(sql, "credentials", put, { replace: true });
  await remove(sql, "credentials", drop);
  const made = [...is.values()].filter(({ id }) => !was.some((route) => route.id === id));
  for (const { path } of made) notes.push(`route ${path} was made since and is not there any more`);
}

/**
 * Channels that were deleted or disabled since stay so, keep the receiver that they have now, and what waited to be sent then
 * has been sent.
 */
async function channels(sql, stage, now, notes) {
  const is = by(await keptRows(stage, "channels"), "id");
  const was = await all(sql, "channels");
  await remove(
    sql,
    "channels",
    was.filter(({ id }) => !is.has(id)).map(({ id }) => ({ id })),
  );
  const known = was.filter(({ id }) => is.has(id));
  for (const { id, name, sealed } of known)
    if (is.get(id).sealed !== sealed)
      notes.push(`channel ${id} (${name}) keeps the receiver, and its secret, that it has now`);
  await update(
    sql,
    "channels",
    known.map((channel) => {
      const now = is.get(channel.id);
      // Columns that the database had then; all else is as it is now.
      const columns = Object.keys(channel).map((name) => [name, name in now ? now[name] : channel[name]]);
      const version = Math.max(channel.version, now.version) + 1;
      return { ...Object.fromEntries(columns), enabled: Math.min(channel.enabled, now.enabled), version };
    }),
  );
  for (const { id, name } of is.values())
    if (!was.some((channel) => channel.id === id))
      notes.push(`channel ${id} (${name}) was made since and is not there any more`);
  await sql("UPDATE deliveries SET state = 'failed', response = 'restored' WHERE state = 'waiting'");
  await sql("UPDATE alerts SET planned_at = ?1 WHERE planned_at IS NULL", [now]);
}
