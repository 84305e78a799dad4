// Channels: deliveries that fail, repeat, fold and stop; secrets; changes and who may make them.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { EVENTS, EVENTS_OF_TEAMS, KINDS, startAlerting } from "../support/alerting.mjs";
import { eventually } from "../support/harness.mjs";
import { SECRETS, targetsOf } from "../support/receivers.mjs";

const DAY = 86_400_000;
let system, receivers, ask, bell, channel, remove, token, run, arrives, forget, stop;
before(
  async () =>
    ({ system, receivers, ask, bell, channel, remove, token, run, arrives, forget, stop } =
      await startAlerting()),
);
after(() => stop?.());
beforeEach(() => forget());

const all = [];
test("a channel of each kind takes alerts", async () => {
  for (const kind of KINDS) all.push(await channel(kind, EVENTS));
  await token({ name: "first", expires_days: 1 });
  await arrives();
});

test("a receiver that is down loses nothing, and knows each alert by its id", async () => {
  receivers.answer = 503;
  const ids = [];
  for (const name of ["one", "two", "three"]) {
    const { id } = await token({ name, expires_days: 1 });
    ids.push(id);
    await run("UPDATE deliveries SET due_at = due_at - 3600000");
    await system.cron();
  }
  await eventually(async () => {
    await system.cron();
    return receivers.tries.filter(({ kind }) => kind === "webhook").length >= 7;
  }, 30_000);
  const failing = await ask("admin", "GET", `/api/channels/${all[0].id}`);
  assert.ok(failing.body.failing_since > Date.now() - 60_000);
  receivers.answer = undefined;
  const alerts = await arrives(3);
  assert.deepEqual(alerts.map(({ link }) => new URL(link).pathname.split("/")[2]).sort(), ids.sort());
  const tried = new Set(receivers.tries.filter(({ kind }) => kind === "webhook").map(({ id }) => id));
  assert.deepEqual([...tried].sort(), alerts.map(({ id }) => id).sort(), "one id for all tries of an alert");
  assert.equal((await ask("admin", "GET", `/api/channels/${all[0].id}`)).body.failing_since, null);
  const log = await ask("admin", "GET", `/api/channels/${all[0].id}/deliveries?limit=3`);
  assert.ok(log.body.items.every(({ state }) => state === "sent"));
  assert.ok(
    log.body.items.some(({ attempts }) => attempts > 1),
    "while a channel fails, its other deliveries wait with the one that is tried",
  );
});

test("a redirect is not followed, and a response that repeats the address is stored without it", async () => {
  receivers.answer = (_, response) => response.writeHead(302, { location: `${receivers.url}/webhook` }).end();
  const slack = all.find(({ kind }) => kind === "slack");
  const moved = await ask("admin", "POST", `/api/channels/${slack.id}/test`);
  assert.deepEqual([moved.body.state, moved.body.status, receivers.tries.length], ["failed", 302, 1]);
  receivers.answer = 404;
  const echoed = await ask("admin", "POST", `/api/channels/${slack.id}/test`);
  assert.deepEqual([echoed.body.status, echoed.body.response], [404, "not now: /…"]);
});

test("a receiver that does not respond in time is tried again under the same id", async () => {
  await remove(...all.splice(0));
  const webhook = await channel("webhook", ["token-ends"]);
  receivers.answer = "silent";
  await token({ name: "slow", expires_days: 1 });
  await system.cron();
  await eventually(() => receivers.tries.length === 1, 20_000, "the first try");
  const state = async () =>
    (await ask("admin", "GET", `/api/channels/${webhook.id}/deliveries`)).body.items[0];
  await eventually(async () => (await state()).response === "timed out", 20_000, "the end of the first try");
  receivers.answer = undefined;
  await eventually(async () => {
    await system.cron();
    return receivers.got.length === 1;
  }, 20_000);
  assert.deepEqual(
    [receivers.tries.length, receivers.tries[0].id, (await state()).attempts],
    [2, receivers.got[0].id, 2],
  );
  await remove(webhook);
});

test("a flood of one event is four alerts and a summary", async () => {
  const webhook = await channel("webhook", ["token-ends"]);
  const now = Date.now();
  await system.db.batch(
    Array.from({ length: 40 }, (_, n) =>
      system.db
        .prepare(
          "INSERT INTO tokens (id, name, team_id, scopes, created_at, updated_at, expires_at) VALUES (?, 'flood', 'automation', '[]', 1, 1, ?)",
        )
        .bind(`tok_flood${n}`, now + DAY),
    ),
  );
  await eventually(async () => {
    await system.cron();
    return receivers.got.length >= 5;
  }, 20_000);
  await system.cron();
  const told = receivers.got.toSorted((one, other) => one.more - other.more);
  assert.deepEqual(
    told.map(({ more }) => more),
    [0, 0, 0, 0, 35],
  );
  assert.match(told[4].text, / And 35 more\.$/);
  assert.equal(new URL(told[4].link).pathname, "/tokens");
  await remove(webhook);
});

test("a team's channel hears of the team alone, in its language; disabled, of nothing", async () => {
  await ask("admin", "PUT", "/api/users/user_manager/team-role", { team_ids: ["automation"], role: "ADMIN" });
  const more = { team_id: "automation", language: "zh-Hant", thresholds: [] };
  const webhook = await channel("webhook", EVENTS_OF_TEAMS, more, "manager");
  await system.deliver([{ id: "m2", body: "garbage" }]);
  await run("UPDATE notifications SET resolved_at = 1 WHERE kind = 'dead-letters'");
  const { id } = await token({ name: "摘要", expires_days: 1 });
  await eventually(async () => {
    await system.cron();
    return receivers.got.length > 0;
  }, 20_000);
  assert.deepEqual(
    receivers.got.map(({ text }) => text.slice(0, 15)),
    ["權杖「摘要」將在 1 天內到期"],
  );
  await ask("manager", "PUT", `/api/channels/${webhook.id}`, { enabled: false });
  receivers.got.length = 0;
  await ask("admin", "POST", `/api/tokens/${id}/extend`, { days: 30 });
  await token({ name: "unheard", expires_days: 1 });
  await system.cron();
  await system.cron();
  assert.deepEqual(receivers.got, []);
  await remove(webhook);
});

test("a channel that has failed for a day is in the bell until it works", async () => {
  const webhook = await channel("webhook", ["token-ends"]);
  await run("UPDATE channels SET failing_since = ? WHERE id = ?", Date.now() - DAY - 1_000, webhook.id);
  await system.cron();
  const notes = async () => (await bell()).filter((note) => note.subject === webhook.id);
  assert.deepEqual(
    (await notes()).map(({ kind, details }) => [kind, details.name]),
    [["channel-failing", "webhook"]],
  );
  await token({ name: "again", expires_days: 1 });
  await eventually(async () => {
    await system.cron();
    return receivers.got.length === 1 && (await notes()).length === 0;
  }, 20_000);
  await remove(webhook);
});

test("bad input is named, versions are kept, and only managers of the core team and admins of a team may", async () => {
  const target = targetsOf(receivers.url).slack;
  const bad = await ask("admin", "POST", "/api/channels", {
    name: "",
    target: { kind: "webhook", url: "ftp://x.example", secret: "short" },
    events: [],
    thresholds: [0],
  });
  assert.deepEqual(
    [bad.status, bad.body.details.map(({ field }) => field)],
    [422, ["name", "target.secret", "target.url", "events", "thresholds"]],
  );
  assert.equal(
    (await ask("viewer", "POST", "/api/channels", { name: "x", target, events: ["budget"] })).status,
    404,
    "the system's channels are none of a viewer's business",
  );
  const own = { name: "x", team_id: "automation", target, events: ["budget"] };
  assert.equal((await ask("viewer", "POST", "/api/channels", own)).status, 403);
  const slack = await channel("slack", ["budget"]);
  const { headers, body } = await ask("admin", "GET", `/api/channels/${slack.id}`);
  assert.deepEqual([headers.get("etag"), body.version], ['"1"', 1]);
  const put = (change, version) =>
    ask("admin", "PUT", `/api/channels/${slack.id}`, change, { "if-match": `"${version}"` });
  const changed = await put({ name: "Ops", thresholds: [90, 90] }, 1);
  assert.deepEqual([changed.status, changed.body.thresholds, changed.body.version], [200, [90], 2]);
  assert.equal((await put({ name: "mine" }, 1)).status, 412);
  const moved = await put({ target: targetsOf(receivers.url).webhook }, 2);
  assert.deepEqual([moved.body.kind, moved.body.address], ["webhook", `${receivers.url}/webhook`]);
  assert.equal((await ask("admin", "POST", `/api/channels/${slack.id}/test`)).body.state, "sent");
  await remove(slack);
  const { items } = (await ask("admin", "GET", "/api/dashboard/audit-logs?entity=channel&limit=200")).body;
  const deeds = items.filter((entry) => entry.entity_id === slack.id).map((entry) => entry.action);
  assert.deepEqual(deeds, ["delete-channel", "update-channel", "update-channel", "create-channel"]);
});

test("a channel of a team that is none is refused by its field, and no refusal fills the audit log", async () => {
  const target = targetsOf(receivers.url).slack;
  const make = (user, team_id, events = ["budget"]) =>
    ask(user, "POST", "/api/channels", { name: "x", team_id, target, events });
  for (const team of ["nope", ""]) {
    const { status, body } = await make("admin", team);
    assert.deepEqual(
      [status, body.details?.map(({ field, message }) => [field, message])],
      [422, [["team_id", "is not a team"]]],
      team,
    );
  }
  const foreign = await make("admin", "automation", ["budget", "database-full"]);
  assert.deepEqual([foreign.status, foreign.body.details.map(({ field }) => field)], [422, ["events"]]);
  const long = "x".repeat(100_000);
  assert.equal((await make("developer", long)).status, 404);
  const asked = { name: "x", team_id: long, scopes: ["*"] };
  assert.equal((await ask("developer", "POST", "/api/tokens", asked)).status, 404);
  const refused = () =>
    system.db
      .prepare(
        "SELECT team_id FROM audit WHERE result = 'refused' AND action IN ('create-channel', 'create-token')",
      )
      .all();
  const { results } = await eventually(async () => {
    const found = await refused();
    return found.results.length >= 2 && found;
  }, 10_000);
  assert.ok(results.every(({ team_id }) => (team_id ?? "").length <= 64));
});

test("a receiver that was replaced is in the audit log, though it looks the same", async () => {
  const slack = await channel("slack", ["budget"]);
  const put = (change) => ask("admin", "PUT", `/api/channels/${slack.id}`, change);
  const other = { ...targetsOf(receivers.url).slack, url: `${receivers.url}/services/T000/B000/another` };
  const { body } = await put({ target: other });
  assert.deepEqual([body.kind, body.address], [slack.kind, slack.address]);
  await put({ name: "Ops" });
  await remove(slack);
  const { items } = (await ask("admin", "GET", "/api/dashboard/audit-logs?entity=channel&limit=200")).body;
  const replaced = items
    .filter((entry) => entry.entity_id === slack.id)
    .map(({ after }) => after?.receiver_replaced);
  assert.deepEqual(replaced, [undefined, undefined, true, undefined]);
});

test("receivers stay readable when the key of credentials is replaced", async () => {
  const webhook = await channel("webhook", ["token-ends"]);
  await run("UPDATE channels SET sealed_under = 'an-older-key' WHERE id = ?", webhook.id);
  await system.cron();
  const under = () =>
    system.db
      .prepare("SELECT sealed_under FROM channels WHERE id = ?")
      .bind(webhook.id)
      .first("sealed_under");
  assert.match(await under(), /^[0-9a-f]{8,}$/);
  assert.equal((await ask("admin", "POST", `/api/channels/${webhook.id}/test`)).body.state, "sent");
  await remove(webhook);
});

test("no payload, log line, audit entry, response or row holds a secret", async () => {
  const kinds = await Promise.all(KINDS.map((kind) => channel(kind, EVENTS)));
  for (const { id } of kinds) await ask("admin", "POST", `/api/channels/${id}/test`);
  receivers.answer = 500;
  for (const { id } of kinds) await ask("admin", "POST", `/api/channels/${id}/test`);
  const tables = ["channels", "alerts", "deliveries", "audit", "notifications", "settings"];
  const rows = await Promise.all(
    tables.map(async (table) => (await system.db.prepare(`SELECT * FROM ${table}`).all()).results),
  );
  const answers = [];
  for (const where of [
    "/api/channels",
    ...kinds.flatMap(({ id }) => [`/api/channels/${id}`, `/api/channels/${id}/deliveries`]),
  ])
    answers.push((await ask("admin", "GET", where)).body);
  answers.push((await ask("admin", "GET", "/api/dashboard/audit-logs?limit=200")).body);
  const bodies = receivers.tries.map(({ body }) => body);
  const seen = JSON.stringify([rows, answers, bodies, system.logs()]);
  assert.ok(seen.length > 5_000 && bodies.length === 8 && seen.includes("create-channel"));
  for (const secret of SECRETS) assert.ok(!seen.includes(secret), secret);
  await remove(...kinds);
});

test("a run of the cron in which nothing is due costs the same with channels as without", async () => {
  const counts = async () => (await system.faults("api")).counts;
  const kinds = ["db", "usage_db", "d1_rows_written", "limiter"];
  /** The least that a run costs: the consumer works beside some runs. */
  const least = async () => {
    const runs = [];
    for (let n = 0; n < 4; n++) {
      const before = await counts();
      await system.cron();
      const after = await counts();
      runs.push(kinds.map((kind) => after[kind] - before[kind]));
    }
    return kinds.map((_, at) => Math.min(...runs.map((run) => run[at])));
  };
  await run("DELETE FROM channels");
  const without = await least();
  const made = await Promise.all(KINDS.map((kind) => channel(kind, EVENTS)));
  assert.deepEqual(await least(), without, `${kinds}`);
  assert.ok(without[0] < 30 && without[3] === 0, `${kinds}: ${without}`);
  assert.deepEqual(receivers.got, []);
  await remove(...made);
});
