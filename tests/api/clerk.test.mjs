// People from Clerk, webhooks and invitations, against a stand-in that speaks Clerk's format.
// Its lines stay in one file: each file starts a system of its own, which takes seconds.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { clerkUser, startClerk, webhook } from "../../local/clerk.mjs";
import { as, eventually, startOnSockets } from "../support/harness.mjs";

const SECRET = `whsec_${randomBytes(24).toString("base64")}`;
let clerk;
let system;
before(async () => {
  clerk = await startClerk();
  system = await startOnSockets({
    apiVars: {
      CLERK_SECRET_KEY: clerk.secretKey,
      CLERK_API_URL: clerk.url,
      CLERK_WEBHOOK_SECRET: SECRET,
      BOOTSTRAP_ADMINS: "boot@example.test",
    },
  });
  await system.db
    .prepare("INSERT OR IGNORE INTO memberships VALUES ('user_admin', 'core-team', 'ADMIN', 1)")
    .run();
});
after(async () => {
  await system?.stop();
  await clerk?.close();
});

const ask = (user, method, where, body) => as(system, user, method, where, body);
const fields = (answer) => answer.body.details?.map((d) => d.field);
const send = async ({ headers, body }) => {
  const response = await system.call("/api/webhooks/clerk", { method: "POST", headers, body });
  return { status: response.status, body: await response.json() };
};
const tell = (type, data, options) => send(webhook(SECRET, type, data, options));
const row = (id) => system.db.prepare("SELECT * FROM users WHERE id = ?").bind(id).first();
const roles = async (id) =>
  (
    await system.db
      .prepare("SELECT team_id || ' ' || role AS r FROM memberships WHERE user_id = ? ORDER BY 1")
      .bind(id)
      .all()
  ).results.map((r) => r.r);

test("only messages signed by Svix are accepted, and a repeat changes nothing", async () => {
  const user = clerkUser({
    id: "user_hook",
    email: "hook@example.test",
    first_name: "Hugo",
    last_name: "Hook",
  });
  const good = webhook(SECRET, "user.created", user);
  const refused = async (what, change) => {
    const answer = await send({ ...good, ...change });
    assert.deepEqual([answer.status, answer.body.code], [401, "bad-signature"], what);
  };
  await refused("no headers", { headers: {} });
  await refused("another body", { body: `${good.body} ` });
  await refused("another id", { headers: { ...good.headers, "svix-id": "msg_other" } });
  await refused(
    "another secret",
    webhook(`whsec_${randomBytes(24).toString("base64")}`, "user.created", user),
  );
  await refused(
    "too old",
    webhook(SECRET, "user.created", user, { at: Math.floor(Date.now() / 1000) - 301 }),
  );
  assert.equal(await row("user_hook"), null);
  assert.deepEqual((await send(good)).body, { taken: true });
  assert.deepEqual((await send(good)).body, { taken: false });
  const { email, email_verified, name } = await row("user_hook");
  assert.deepEqual([email, email_verified, name], ["hook@example.test", 1, "Hugo Hook"]);
  assert.deepEqual((await tell("session.created", { id: "sess_1" })).body, { taken: false });
  assert.equal((await tell("user.created", { id: 5 })).status, 422);
});

test("an older message does not overwrite a newer one, and a deleted person stays deleted", async () => {
  const at = Date.now();
  await tell("user.updated", clerkUser({ id: "user_order", email: "new@example.test", at }));
  await tell("user.created", clerkUser({ id: "user_order", email: "old@example.test", at: at - 1000 }));
  assert.equal((await row("user_order")).email, "new@example.test");
  await system.db.prepare("INSERT INTO memberships VALUES ('user_order', 'automation', 'ADMIN', 1)").run();
  await tell("user.deleted", { id: "user_order", object: "user", deleted: true });
  assert.ok((await row("user_order")).deleted_at);
  assert.deepEqual(await roles("user_order"), [], "even the last ADMIN of a team");
  await tell("user.updated", clerkUser({ id: "user_order", email: "back@example.test", at: at + 1000 }));
  assert.equal((await row("user_order")).email, "new@example.test");
  assert.equal((await ask("order", "GET", "/api/me")).status, 401);
});

test("a verified address belongs to the account that Clerk described last", async () => {
  await tell("user.created", clerkUser({ id: "user_first", email: "moved@example.test" }));
  await tell("user.created", clerkUser({ id: "user_second", email: "Moved@example.test" }));
  assert.deepEqual(
    [(await row("user_first")).email_verified, (await row("user_second")).email_verified],
    [0, 1],
  );
});

test("it does not matter in which order Clerk's messages come", async () => {
  const at = Date.now();
  await tell("user.updated", clerkUser({ id: "user_late", email: "order@example.test", at }));
  await tell("user.created", clerkUser({ id: "user_early", email: "order@example.test", at: at - 5_000 }));
  await tell("user.updated", clerkUser({ id: "user_early", email: "order@example.test", at: at - 2_000 }));
  assert.deepEqual(
    [(await row("user_early")).email_verified, (await row("user_late")).email_verified],
    [0, 1],
  );
});

test("a deleted person leaves every team, and each departure is in the audit log", async () => {
  await tell("user.created", clerkUser({ id: "user_leaver", email: "leaver@example.test" }));
  await system.db.batch(
    ["automation", "core-team"].map((team) =>
      system.db.prepare("INSERT INTO memberships VALUES ('user_leaver', ?, 'VIEWER', 1)").bind(team),
    ),
  );
  await tell("user.deleted", { id: "user_leaver", object: "user", deleted: true });
  const { body } = await ask("admin", "GET", "/api/dashboard/audit-logs?entity_id=user_leaver");
  assert.deepEqual(body.items.map((e) => `${e.action} ${e.team_id ?? ""}`).sort(), [
    "delete-user ",
    "remove-member automation",
    "remove-member core-team",
  ]);
});

test("a person who signs in before any webhook is fetched from Clerk once", async () => {
  clerk.users.set(
    "user_fetched",
    clerkUser({ id: "user_fetched", email: "fetched@example.test", first_name: "Fee" }),
  );
  const seen = clerk.requests.length;
  await Promise.all([1, 2, 3].map(() => ask("fetched", "GET", "/api/me")));
  assert.equal((await ask("fetched", "GET", "/api/me")).body.email, "fetched@example.test");
  assert.equal(clerk.requests.length - seen, 1);
  clerk.state.failing = 500;
  const away = await ask("away", "GET", "/api/me");
  assert.deepEqual([away.status, away.body.email], [200, null], "an outage of Clerk fails no sign-in");
  assert.equal((await ask("away", "GET", "/api/me")).status, 200);
  clerk.state.failing = null;
  const asked = (who) => clerk.requests.filter((r) => r.path === `/v1/users/user_${who}`).length;
  assert.equal(asked("away"), 1, "not asked again at once");
  await system.db.prepare("UPDATE users SET asked_at = asked_at - 660000 WHERE id = 'user_away'").run();
  clerk.users.set("user_away", {
    ...clerkUser({ id: "user_away", first_name: "Ava" }),
    image_url: "javascript:alert(1)",
  });
  for (let i = 0; i < 2; i++)
    assert.equal((await ask("away", "GET", "/api/me")).body.name, "Ava", "ten minutes later");
  await system.db.prepare("UPDATE users SET asked_at = 1 WHERE id = 'user_away'").run();
  await ask("away", "GET", "/api/me");
  assert.equal(asked("away"), 2, "a described person without an address is not asked about again");
  assert.equal((await row("user_away")).avatar_url, null);
  clerk.state.delayMs = 6_000;
  const start = Date.now();
  assert.equal((await ask("slow", "GET", "/api/me")).status, 200, "a slow Clerk fails no sign-in either");
  assert.ok(Date.now() - start < 5_000, `took ${Date.now() - start} ms`);
  clerk.state.delayMs = 0;
});

test("BOOTSTRAP_ADMINS names people by verified address, and counts only while there is no admin", async () => {
  clerk.users.set("user_boot", clerkUser({ id: "user_boot", email: "boot@example.test" }));
  assert.equal(
    (await ask("boot", "GET", "/api/me")).body.is_platform_admin,
    false,
    "there already is an admin",
  );
  await system.db.prepare("UPDATE users SET deleted_at = 1 WHERE id = 'user_admin'").run();
  assert.equal((await ask("boot", "GET", "/api/me")).body.is_platform_admin, true);
  await system.db.prepare("UPDATE users SET deleted_at = NULL WHERE id = 'user_admin'").run();
  assert.equal((await ask("admin", "DELETE", "/api/users/user_boot/team-membership/core-team")).status, 200);
  assert.equal(
    (await ask("boot", "GET", "/api/me")).body.is_platform_admin,
    false,
    "a removed admin stays removed",
  );
});

const invite = (user, email, teams) => ask(user, "POST", "/api/invitations", { email, teams });

test("parity fault 11: an invitation is sent, accepted by signing up, and shows in the audit log", async () => {
  await ask("admin", "POST", "/api/teams", { id: "web", name: "Web" });
  const made = await invite("admin", "new.person@example.test", [
    { team_id: "automation", role: "VIEWER" },
    { team_id: "web", role: "ADMIN" },
  ]);
  assert.deepEqual(
    [made.status, made.body.state, made.body.delivery, made.body.link],
    [201, "pending", "sent", null],
  );
  const sent = clerk.invitations.at(-1);
  assert.equal(sent.email_address, "new.person@example.test");
  await tell(
    "user.created",
    clerkUser({ id: "user_invited", email: "New.Person@example.test", verified: false }),
  );
  assert.deepEqual(await roles("user_invited"), [], "the address is not verified yet");
  await tell(
    "user.updated",
    clerkUser({ id: "user_invited", email: "New.Person@example.test", at: Date.now() + 1000 }),
  );
  assert.deepEqual(await roles("user_invited"), ["automation VIEWER", "web ADMIN"]);
  const list = (await ask("admin", "GET", "/api/invitations?state=accepted")).body.items;
  assert.ok(list.some((i) => i.id === made.body.id && i.accepted_at));
  const audit = (
    await ask("admin", "GET", "/api/dashboard/audit-logs?action=accept-invitation&entity_id=user_invited")
  ).body.items;
  assert.deepEqual(audit.map((e) => e.team_id).sort(), ["automation", "web"]);
});

test("a person who already has the address is a member at once, and Clerk is not asked", async () => {
  const before = clerk.invitations.length;
  const made = await invite("admin", "HOOK@example.test", [{ team_id: "web", role: "DEVELOPER" }]);
  assert.deepEqual([made.status, made.body.state], [201, "accepted"]);
  assert.deepEqual(await roles("user_hook"), ["web DEVELOPER"]);
  assert.equal(clerk.invitations.length, before);
});

test("of two roles in a team, the higher one stays", async () => {
  await system.db.prepare("INSERT INTO memberships VALUES ('user_first', 'web', 'VIEWER', 1)").run();
  const waiting = async (role) => invite("admin", "both@example.test", [{ team_id: "web", role }]);
  for (const role of ["DEVELOPER", "MANAGER", "VIEWER"])
    assert.equal((await waiting(role)).body.state, "pending");
  await tell(
    "user.updated",
    clerkUser({ id: "user_first", email: "both@example.test", at: Date.now() + 1_000 }),
  );
  assert.deepEqual(await roles("user_first"), ["web MANAGER"]);
  assert.equal((await waiting("VIEWER")).body.state, "accepted");
  assert.deepEqual(await roles("user_first"), ["web MANAGER"]);
  const { body } = await ask(
    "admin",
    "GET",
    "/api/dashboard/audit-logs?action=accept-invitation&entity_id=user_first",
  );
  assert.deepEqual(
    body.items.map((e) => [e.before.role, e.after.role]),
    [["VIEWER", "MANAGER"]],
    "an invitation that changed nothing is not recorded",
  );
});

test("nobody invites above the roles they may assign, nor into another team", async () => {
  assert.equal(
    (await invite("manager", "x@example.test", [{ team_id: "automation", role: "DEVELOPER" }])).status,
    201,
  );
  assert.equal(
    (await invite("manager", "x@example.test", [{ team_id: "automation", role: "MANAGER" }])).status,
    403,
  );
  assert.equal(
    (
      await invite("manager", "x@example.test", [
        { team_id: "automation", role: "VIEWER" },
        { team_id: "web", role: "VIEWER" },
      ])
    ).status,
    404,
  );
  assert.equal(
    (await invite("developer", "x@example.test", [{ team_id: "automation", role: "VIEWER" }])).status,
    403,
  );
  assert.deepEqual(fields(await invite("admin", "x@example.test", [{ team_id: "none", role: "VIEWER" }])), [
    "teams.0.team_id",
  ]);
  assert.deepEqual(fields(await invite("admin", "nobody", [])), ["email", "teams"]);
  const own = (await ask("manager", "GET", "/api/invitations")).body.items;
  assert.ok(own.length > 0 && own.every((i) => i.teams.some((t) => t.team_id === "automation")));
  assert.deepEqual((await ask("viewer", "GET", "/api/invitations")).body.items, []);
  const mixed = own.find((i) => i.email === "new.person@example.test");
  assert.deepEqual(
    mixed.teams.map((t) => t.team_id),
    ["automation"],
    "the invitation's other teams stay hidden",
  );
  assert.equal(
    (await ask("manager", "DELETE", `/api/invitations/${mixed.id}`)).status,
    404,
    "it was accepted, and names another team",
  );
});

test("invitations are sent again and revoked; Clerk may refuse or be away", async () => {
  const made = (await invite("admin", "again@example.test", [{ team_id: "web", role: "VIEWER" }])).body;
  const first = clerk.invitations.at(-1);
  await system.db
    .prepare("UPDATE invitations SET state = 'expired', expires_at = 1 WHERE id = ?")
    .bind(made.id)
    .run();
  const resent = await ask("admin", "POST", `/api/invitations/${made.id}/resend`);
  assert.deepEqual([resent.status, resent.body.state, resent.body.delivery], [200, "pending", "sent"]);
  assert.equal(first.status, "revoked");
  assert.ok(resent.body.expires_at > Date.now() + 29 * 86_400_000);
  assert.equal((await ask("admin", "DELETE", `/api/invitations/${made.id}`)).body.state, "revoked");
  assert.equal(clerk.invitations.at(-1).status, "revoked");
  assert.equal((await ask("admin", "POST", `/api/invitations/${made.id}/resend`)).status, 409);
  await tell("user.created", clerkUser({ id: "user_again", email: "again@example.test" }));
  assert.deepEqual(await roles("user_again"), [], "a revoked invitation gives nothing");

  const refused = await invite("admin", "x@blocked.example", [{ team_id: "web", role: "VIEWER" }]);
  assert.deepEqual([refused.status, fields(refused)], [422, ["email"]]);
  assert.match(refused.body.details[0].message, /not allowed/);
  const takenBack = async (email) =>
    (await ask("admin", "GET", "/api/invitations?state=revoked")).body.items.find((i) => i.email === email)
      ?.error;
  assert.match(await takenBack("x@blocked.example"), /not allowed/);

  clerk.state.failing = 503;
  const due = (await invite("admin", "later@example.test", [{ team_id: "web", role: "VIEWER" }])).body;
  assert.deepEqual([due.state, due.delivery], ["pending", "due"]);
  const dueToo = (await invite("admin", "later@blocked.example", [{ team_id: "web", role: "VIEWER" }])).body;
  assert.match(dueToo.error, /503/);
  clerk.state.failing = null;
  await system.cron();
  assert.equal(
    clerk.invitations.some((i) => i.email_address === "later@example.test"),
    false,
    "not at once: the request that made it may still be sending it",
  );
  await system.db
    .prepare("UPDATE invitations SET tried_at = 1 WHERE id IN (?, ?)")
    .bind(due.id, dueToo.id)
    .run();
  await system.cron();
  await eventually(
    async () =>
      (await ask("admin", "GET", "/api/invitations")).body.items.find((i) => i.id === due.id).delivery ===
      "sent",
    10_000,
    "the cron sending it",
  );
  assert.equal(clerk.invitations.at(-1).email_address, "later@example.test");
  await eventually(() => takenBack("later@blocked.example"), 10_000, "Clerk's refusal");
});

test("invitations expire by cron", async () => {
  const made = (await invite("admin", "late@example.test", [{ team_id: "web", role: "VIEWER" }])).body;
  await system.db.prepare("UPDATE invitations SET expires_at = 1 WHERE id = ?").bind(made.id).run();
  await system.cron();
  await eventually(
    async () =>
      (await ask("admin", "GET", "/api/invitations?state=expired")).body.items.some((i) => i.id === made.id),
    10_000,
    "expiry",
  );
  await tell("user.created", clerkUser({ id: "user_late", email: "late@example.test" }));
  assert.deepEqual(await roles("user_late"), []);
});

/** Synchronises everybody, page by page. */
async function sync(user = "admin") {
  let people = 0;
  for (let cursor; ;) {
    const { status, body } = await ask(user, "POST", "/api/users/sync", cursor ? { cursor } : {});
    assert.equal(status, 200, JSON.stringify(body));
    people += body.people;
    if (!body.next_cursor) return people;
    cursor = body.next_cursor;
  }
}

test("parity fault 7: the synchronisation adds everybody, beyond the first hundred", async () => {
  await invite("admin", "many200@example.test", [{ team_id: "web", role: "VIEWER" }]);
  for (let i = 0; i < 250; i++)
    clerk.users.set(
      `user_many${i}`,
      clerkUser({ id: `user_many${i}`, email: `many${i}@example.test`, first_name: "Many" }),
    );
  assert.equal(await sync(), clerk.users.size);
  assert.equal(
    await system.db.prepare("SELECT count(*) AS n FROM users WHERE name = 'Many'").first("n"),
    250,
  );
  assert.deepEqual(await roles("user_many200"), ["web VIEWER"]);
  assert.equal((await ask("manager", "POST", "/api/users/sync", {})).status, 403);
  assert.deepEqual(fields(await ask("admin", "POST", "/api/users/sync", { cursor: "x" })), ["cursor"]);
  clerk.state.failing = 500;
  const away = await ask("admin", "POST", "/api/users/sync", {});
  assert.deepEqual([away.status, away.body.code], [502, "clerk-unavailable"]);
  clerk.state.failing = null;
});

test("without Clerk's secret there is a link to hand over, and without a webhook secret there is no endpoint", async () => {
  const bare = await startOnSockets();
  try {
    const made = await as(bare, "admin", "POST", "/api/invitations", {
      email: "link@example.test",
      teams: [{ team_id: "automation", role: "VIEWER" }],
    });
    assert.deepEqual([made.body.delivery, made.body.link], ["link", `${bare.origin}/sign-in`]);
    assert.equal((await as(bare, "admin", "POST", "/api/users/sync", {})).status, 409);
    const { headers, body } = webhook(SECRET, "user.created", clerkUser({ email: "x@example.test" }));
    assert.equal((await bare.call("/api/webhooks/clerk", { method: "POST", headers, body })).status, 404);
  } finally {
    await bare.stop();
  }
});

/** Adds a person whom Clerk has described, with roles as { team: role }. */
async function member(id, roles = {}) {
  await tell("user.created", clerkUser({ id: `user_${id}`, email: `${id}@example.test` }));
  for (const [team, role] of Object.entries(roles))
    await system.db
      .prepare("INSERT INTO memberships VALUES (?, ?, ?, 1)")
      .bind(`user_${id}`, team, role)
      .run();
}
const stateOf = async (id) =>
  (await system.db.prepare("SELECT state FROM invitations WHERE id = ?").bind(id).first()).state;

test("if an inviter is removed, demoted or deleted, invitations that they could no longer make are revoked", async () => {
  await ask("admin", "POST", "/api/teams", { id: "gate", name: "Gate" });
  await member("keeper", { gate: "ADMIN" });
  const ways = {
    removed: () => ask("keeper", "DELETE", "/api/users/user_removed/team-membership/gate"),
    demoted: () =>
      ask("keeper", "PUT", "/api/users/user_demoted/team-role", { team_id: "gate", role: "VIEWER" }),
    gone: () => tell("user.deleted", { id: "user_gone", object: "user", deleted: true }),
  };
  for (const [who, leave] of Object.entries(ways)) {
    await member(who, { gate: "ADMIN" });
    const { id } = (await invite(who, `private.${who}@example.test`, [{ team_id: "gate", role: "ADMIN" }]))
      .body;
    assert.equal((await leave()).status, 200, who);
    assert.equal(await stateOf(id), "revoked", who);
    const { items } = (
      await ask("admin", "GET", `/api/dashboard/audit-logs?entity_id=${id}&action=revoke-invitation`)
    ).body;
    assert.deepEqual(
      items.map((e) => [e.team_id, e.after.invited_by]),
      [["gate", `user_${who}`]],
      who,
    );
    await member(`private.${who}`);
    assert.deepEqual(await roles(`user_private.${who}`), [], who);
  }
});

test("the inviter's permission is checked again when an invitation is accepted", async () => {
  await member("unseen", { gate: "ADMIN" });
  const { id } = (await invite("unseen", "friend@example.test", [{ team_id: "gate", role: "ADMIN" }])).body;
  await system.db.prepare("DELETE FROM memberships WHERE user_id = 'user_unseen'").run();
  await member("friend");
  assert.deepEqual([await roles("user_friend"), await stateOf(id)], [[], "revoked"]);
});

test("an ADMIN of one team revokes their part of an invitation into two", async () => {
  await ask("admin", "POST", "/api/teams", { id: "other-gate", name: "Other" });
  await member("half", { gate: "ADMIN" });
  const { id } = (
    await invite("admin", "halved@example.test", [
      { team_id: "gate", role: "ADMIN" },
      { team_id: "other-gate", role: "VIEWER" },
    ])
  ).body;
  const revoked = await ask("half", "DELETE", `/api/invitations/${id}`);
  assert.deepEqual(
    [revoked.status, revoked.body.state, revoked.body.teams.map((t) => t.team_id)],
    [200, "revoked", ["gate"]],
  );
  assert.equal(await stateOf(id), "pending");
  assert.equal(
    (await ask("half", "DELETE", `/api/invitations/${id}`)).status,
    404,
    "the invitation no longer names a team of theirs",
  );
  await member("halved");
  assert.deepEqual(await roles("user_halved"), ["other-gate VIEWER"]);
});

test("an invitation sent again to a person who has since signed up is accepted at once", async () => {
  const { id } = (await invite("admin", "since@example.test", [{ team_id: "gate", role: "VIEWER" }])).body;
  await system.db
    .prepare("UPDATE invitations SET state = 'expired', expires_at = 1 WHERE id = ?")
    .bind(id)
    .run();
  await member("since");
  assert.deepEqual(await roles("user_since"), []);
  const resent = await ask("admin", "POST", `/api/invitations/${id}/resend`);
  assert.deepEqual(
    [resent.status, resent.body.state, await roles("user_since")],
    [200, "accepted", ["gate VIEWER"]],
  );
});

test("a person who sends an invitation again becomes its inviter", async () => {
  await member("vouched", { gate: "ADMIN" });
  const { id } = (await invite("vouched", "vouchee@example.test", [{ team_id: "gate", role: "VIEWER" }]))
    .body;
  assert.equal((await ask("keeper", "POST", `/api/invitations/${id}/resend`)).body.invited_by, "user_keeper");
  await ask("keeper", "DELETE", "/api/users/user_vouched/team-membership/gate");
  assert.equal(await stateOf(id), "pending");
});

test("a new invitation does not reveal to a MANAGER who has an account; the invited person's next request accepts it", async () => {
  await member("lead", { gate: "MANAGER" });
  await member("account");
  const shown = async (email) => {
    const { status, body } = await invite("lead", email, [{ team_id: "gate", role: "VIEWER" }]);
    return [
      status,
      Object.keys(body).sort().join(),
      body.state,
      body.delivery,
      body.link,
      body.accepted_at,
      body.error,
    ];
  };
  assert.deepEqual(await shown("account@example.test"), await shown("nobody.yet@example.test"));
  assert.deepEqual(await roles("user_account"), []);
  assert.deepEqual(
    (await ask("account", "GET", "/api/me")).body.memberships.map((m) => m.team_id),
    ["gate"],
  );
  assert.deepEqual(
    (await invite("lead", "account@example.test", [{ team_id: "gate", role: "DEVELOPER" }])).body.state,
    "accepted",
    "the MANAGER can see a colleague anyway",
  );
});

test("the tokens of a person deleted from Clerk have notifications", async () => {
  await member("vanishing", { gate: "DEVELOPER" });
  const { id } = (
    await ask("vanishing", "POST", "/api/tokens", { name: "orphan", team_id: "gate", scopes: ["*"] })
  ).body;
  await tell("user.deleted", { id: "user_vanishing", object: "user", deleted: true });
  const bell = (await ask("keeper", "GET", "/api/notifications")).body.items;
  assert.deepEqual(
    bell.filter((n) => n.kind === "token-unattended").map((n) => [n.subject, n.details.name]),
    [[id, "orphan"]],
  );
});
