// The rule that a restore revives nothing: of the earlier and the current version of a row, the one that allows less.
// Pure: no I/O.
import { BlockList, isIPv6 } from "node:net";

const ROLES = ["VIEWER", "DEVELOPER", "MANAGER", "ADMIN"];
/** The smaller of two numbers; null means no number. */
const least = (a, b) =>
  a === null || a === undefined ? (b ?? null) : b === null || b === undefined ? a : Math.min(a, b);
const parsed = (json) => (typeof json === "string" ? JSON.parse(json) : json);
const isWithin = (list, other, contains) => list.every((one) => other.some((wide) => contains(wide, one)));

/**
 * The narrower of two lists. If neither lies within the other, the current one, and `isOpen` says that it could not be
 * decided.
 */
function narrowerList(then, now, contains) {
  if (isWithin(now, then, contains)) return { list: now };
  if (isWithin(then, now, contains)) return { list: then };
  return { list: now, isOpen: true };
}

const scopeContains = (wide, one) => wide === "*" || wide === one;

/** Whether network `wide` contains all addresses of network `one`; each is `address/bits`, or one address. */
function networkContains(wide, one) {
  if (wide === "*" || wide === one) return true;
  const [[a, aBits], [b, bBits]] = [wide, one].map((net) => net.split("/"));
  const family = (address) => (isIPv6(address) ? "ipv6" : "ipv4");
  if (family(a) !== family(b)) return false;
  const most = isIPv6(a) ? 128 : 32;
  const [outer, inner] = [Number(aBits ?? most), Number(bBits ?? most)];
  const list = new BlockList();
  list.addSubnet(a, outer, family(a));
  return outer <= inner && list.check(b, family(b));
}

/** A list where an empty one means everything, as JSON. */
function narrowerAllowed(then, now, contains) {
  const [a, b] = [then, now].map((json) => (parsed(json).length === 0 ? ["*"] : parsed(json)));
  const { list, isOpen } = narrowerList(a, b, contains);
  return { json: JSON.stringify(list.includes("*") ? [] : list), isOpen };
}

const both = (then, now) => JSON.stringify(parsed(then).filter((one) => parsed(now).includes(one)));

/** Limits that only say how much is reserved for a call: they bound no use, so the current value stays. */
const RESERVED = ["cost_micros_per_call", "ai_tokens_per_call"];

/**
 * The names that an object listed as critical then, and those that it lists now (`domain/src/stored.rs`). A version
 * that does not know such a name refuses the object.
 */
function bothCritical(then, now) {
  const unreadable = [then, now].find((list) => list !== undefined && !Array.isArray(list));
  return unreadable ?? [...new Set([...(then ?? []), ...(now ?? [])])];
}

/**
 * The lower of each limit in force. A limit that a token lacks is its team's: `thenTeam` and `nowTeam` are the team's
 * limits at either time. Only numbers and absences can be compared: a limit of another kind, as
 * a newer version may have, keeps its current value, or its earlier one if it was removed.
 */
export function narrowerLimits(then, now, thenTeam = null, nowTeam = null) {
  const [a, b, aTeam, bTeam] = [then, now, thenTeam, nowTeam].map((json) => parsed(json) ?? {});
  const limits = {};
  for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const areComparable = [a, b, aTeam, bTeam].every(
      (all) => all[name] === undefined || typeof all[name] === "number",
    );
    const isLower = (b[name] ?? bTeam[name] ?? Infinity) <= (a[name] ?? aTeam[name] ?? Infinity);
    let value = areComparable && !isLower ? a[name] : b[name];
    if (!areComparable) value = b[name] ?? a[name];
    if (name === "on_limit_failure") value = [a[name], b[name]].includes("deny") ? "deny" : b[name];
    if (name === "critical") value = bothCritical(a[name], b[name]);
    if (RESERVED.includes(name)) value = b[name];
    if (value !== undefined) limits[name] = value;
  }
  return Object.keys(limits).length === 0 && (then === null || now === null) ? null : JSON.stringify(limits);
}

/** The row and its notes if it differs from `then`; null if it does not. */
function changed(then, row, notes = []) {
  const names = Object.keys(row).filter((name) => (row[name] ?? null) !== (then[name] ?? null));
  return names.length > 0 || notes.length > 0 ? { row, notes } : null;
}

/** A version is compared by the gateway and by clients, so it only grows. */
const grown = (then, now, row) => {
  const isChanged =
    now.version > then.version ||
    Object.keys(row).some((name) => (row[name] ?? null) !== (then[name] ?? null));
  return isChanged ? Math.max(now.version, then.version) + 1 : then.version;
};

export function narrowTeam(then, now) {
  const cap = (json) => (json === null ? ["*"] : parsed(json));
  const { list, isOpen } = narrowerList(cap(then.scope_cap), cap(now.scope_cap), scopeContains);
  const row = {
    scope_cap: list.includes("*") ? null : JSON.stringify(list),
    limits: narrowerLimits(then.limits, now.limits),
    budget: narrowerLimits(then.budget ?? null, now.budget ?? null),
  };
  const notes = isOpen ? [`team ${now.id}: its scope cap is the present one`] : [];
  return changed(then, { id: now.id, ...row, version: grown(then, now, row) }, notes);
}

export function narrowToken(then, now, thenTeam, nowTeam) {
  const scopes = narrowerList(parsed(then.scopes), parsed(now.scopes), scopeContains);
  const networks = narrowerAllowed(then.ip_allow, now.ip_allow, networkContains);
  const row = {
    revoked_at: then.revoked_at ?? now.revoked_at,
    disabled_at: then.disabled_at ?? now.disabled_at,
    // The right to enable it again depends on who disabled it last.
    disabled_by: now.disabled_at === null ? then.disabled_by : now.disabled_by,
    expires_at: least(then.expires_at, now.expires_at),
    scopes: JSON.stringify(scopes.list),
    ip_allow: networks.json,
    limits: narrowerLimits(then.limits, now.limits, thenTeam?.limits, nowTeam?.limits),
    inject_faults: Math.min(then.inject_faults, now.inject_faults),
    may_derive: Math.min(then.may_derive ?? 0, now.may_derive ?? 0),
  };
  const notes = [];
  if (scopes.isOpen) notes.push(`token ${now.id} (${now.name}): its scopes are the present ones`);
  if (networks.isOpen) notes.push(`token ${now.id} (${now.name}): its addresses are the present ones`);
  return changed(then, { id: now.id, ...row, version: grown(then, now, row) }, notes);
}

export const narrowSecret = (then, now) =>
  changed(then, { hash: then.hash, ends_at: least(then.ends_at, now.ends_at) });

/**
 * A route that was closed since stays closed. It keeps its failover only if that is the same then and now. A setting
 * that is critical now narrows the route, and stays.
 */
function narrowerSettings(then, now) {
  const [was, is] = [JSON.parse(then ?? "{}"), JSON.parse(now ?? "{}")];
  const { failover, ...rest } = was;
  const keepsFailover = JSON.stringify(failover) === JSON.stringify(is.failover);
  if (keepsFailover && !is.maintenance && !is.critical) return then;
  const critical = is.critical && bothCritical(was.critical, is.critical);
  const kept = Array.isArray(critical)
    ? critical.filter((name) => name in is).map((name) => [name, is[name]])
    : [];
  return JSON.stringify({
    ...rest,
    ...(keepsFailover && failover && { failover }),
    ...(is.maintenance && { maintenance: is.maintenance }),
    ...Object.fromEntries(kept),
    ...(critical && { critical }),
  });
}

export function narrowRoute(then, now) {
  if (!now) {
    const isOn = then.enabled === 1;
    return changed(
      then,
      {
        id: then.id,
        enabled: 0,
        methods: then.methods,
        tags: then.tags,
        cors_origins: then.cors_origins,
        forward_cookies: then.forward_cookies,
        settings: then.settings,
        version: then.version + 1,
      },
      isOn ? [`route ${then.path} was removed since: it comes back disabled`] : [],
    );
  }
  const methods = narrowerAllowed(then.methods, now.methods, scopeContains);
  const row = {
    enabled: Math.min(then.enabled, now.enabled),
    methods: methods.json,
    // A tag opens a route to every token with its scope.
    tags: both(then.tags, now.tags),
    cors_origins: both(then.cors_origins, now.cors_origins),
    forward_cookies: Math.min(then.forward_cookies, now.forward_cookies),
    settings: narrowerSettings(then.settings, now.settings),
  };
  const notes = methods.isOpen ? [`route ${then.path}: its methods are the present ones`] : [];
  return changed(then, { id: then.id, ...row, version: grown(then, now, row) }, notes);
}

/** The role that stays; null if the membership was removed. */
export const narrowRole = (then, now) =>
  now ? ROLES[Math.min(ROLES.indexOf(then), ROLES.indexOf(now))] : null;

/**
 * The credential after the restore: `now` replaces `then` if both belong to one origin, so that a rotation of the key in
 * between does no harm. A credential sealed under a key that is not in use is not published.
 */
export function credentialOf(route, then, now, keysAtWork) {
  const origin = new URL(route.backend_url).origin;
  const isMarked = (credential) => !keysAtWork.includes(credential.sealed_under);
  if (now && now.origin === (then?.origin ?? origin)) return { put: now };
  if (then && now === null)
    return { drop: true, note: `route ${route.path}: its credential was taken away since` };
  if (then && isMarked(then))
    return {
      disable: true,
      note: `route ${route.path} is disabled: its credential is sealed under a key that is not at work. Enter it again`,
    };
  return {};
}

/** An invitation's state: a settled one stays so, and one that its inviter could no longer give is revoked. */
export function narrowInvitation(then, now, mayInvite) {
  let state = now?.state ?? "revoked";
  if (then.state !== "pending") state = then.state;
  const notes = [];
  if (state === "pending" && !mayInvite) {
    state = "revoked";
    notes.push(`invitation of ${then.email} is revoked: who invited them could not any more`);
  }
  return changed(
    then,
    { id: then.id, state, expires_at: now ? least(then.expires_at, now.expires_at) : then.expires_at },
    notes,
  );
}

/** Whether somebody with these roles (by team) may invite as `role` to `team`: as `Action::assignment` of `domain`. */
export function mayAssign(roles, team, role) {
  if (roles.get("core-team") === "ADMIN" || roles.get(team) === "ADMIN") return true;
  return roles.get(team) === "MANAGER" && ["VIEWER", "DEVELOPER"].includes(role);
}

/** The value of a setting after the restore; undefined keeps the restored one. */
export function settingOf(key, then, now) {
  if (key === "keys" || key === "keys-since") return now;
  if (key === "v1-imported") return now === "true" ? now : undefined;
  if (key.endsWith("-version")) return String(Math.max(Number(then ?? 0), Number(now ?? 0)) + 1);
  return undefined;
}
