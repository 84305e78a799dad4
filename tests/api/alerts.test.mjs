// Alerts: each event is caused for real and arrives at a receiver of each kind, once, with a link to a page of the UI.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { EVENTS, KINDS, startAlerting } from "../support/alerting.mjs";
import { eventually } from "../support/harness.mjs";
import { callOf, messageOf } from "../support/usage.mjs";

const [MINUTE, DAY] = [60_000, 86_400_000];
let system, receivers, ask, bell, channel, token, run, isLink, arrives, told, forget, stop;
before(
  async () =>
    ({ system, receivers, ask, bell, channel, token, run, isLink, arrives, told, forget, stop } =
      await startAlerting()),
);
after(() => stop?.());
beforeEach(() => forget());
/** Makes a route to the echo. */
const route = async (name) =>
  (
    await ask("admin", "POST", "/api/routes", {
      name,
      path: `/api/${name}`,
      backend_url: `${system.upstream.url}/echo`,
    })
  ).body;

const all = [];
test("a channel of each kind is made, tried out, and shows no secret", async () => {
  for (const kind of KINDS) {
    const made = await channel(kind, EVENTS);
    all.push(made);
    const tried = await ask("admin", "POST", `/api/channels/${made.id}/test`);
    assert.deepEqual([tried.status, tried.body.state], [200, "sent"], JSON.stringify(tried.body));
    assert.match(receivers.of(kind)[0].text, /This is a test of the channel/);
    await isLink(receivers.of(kind)[0].link);
  }
  assert.equal(all.find(({ kind }) => kind === "slack").address, receivers.url);
  const log = await ask("admin", "GET", `/api/channels/${all[0].id}/deliveries`);
  assert.deepEqual(
    log.body.items.map(({ event, state, status, response }) => [event, state, status, response]),
    [["test", "sent", 200, "ok"]],
  );
});

test("a quota is told of at 50, 80 and 100 %, and the bell says so from 80 % on", async () => {
  await route("quota");
  const { id, token: secret } = await token({ limits: { calls_per_month: 10 } });
  const call = () => system.gateway("/api/quota", { headers: { "x-api-key": secret } });
  await eventually(async () => (await call()).status === 200);
  const use = async (calls) => {
    for (let n = 0; n < calls; n++) assert.equal((await call()).status, 200);
  };
  const inBell = async () => (await bell()).filter((note) => note.kind === "budget-used");
  await use(4);
  const [half] = await arrives();
  assert.equal(half.text, "“Daily digest” has used 50% of its monthly call quota: 5 / 10.");
  assert.equal(new URL(half.link).pathname, `/tokens/${id}`);
  assert.deepEqual(await inBell(), []);
  receivers.got.length = 0;
  // The next would be held for an hour, as a flood is.
  await run("UPDATE deliveries SET due_at = due_at - 3600000");
  await use(3);
  const [most] = await arrives();
  assert.match(most.text, /80% of its monthly call quota: 8 \/ 10/);
  const [note] = await inBell();
  assert.deepEqual([note.details.step, note.details.token, note.team_id], [80, id, "automation"]);
  receivers.got.length = 0;
  await run("UPDATE deliveries SET due_at = due_at - 3600000");
  await use(2);
  assert.equal((await call()).status, 429);
  assert.match((await arrives())[0].text, /100% of its/);
  // Another limit is another matter, and the old one is over.
  await ask("admin", "PUT", `/api/tokens/${id}`, { limits: { calls_per_month: 100 } });
  await eventually(async () => {
    await call();
    await system.cron();
    return (await inBell()).length === 0;
  }, 20_000);
});

test("a limit that was raised is told of again when its shares are used", async () => {
  await route("raised");
  const { id, token: secret } = await token({ limits: { calls_per_day: 10 } });
  let used = 0;
  const use = (total) =>
    eventually(async () => {
      const { status } = await system.gateway("/api/raised", { headers: { "x-api-key": secret } });
      if (status === 200) used += 1;
      return used === total;
    }, 20_000);
  await use(8);
  assert.match((await arrives())[0].text, /80% of its daily call quota: 8 \/ 10/);
  receivers.got.length = 0;
  await run("UPDATE deliveries SET due_at = due_at - 3600000");
  await ask("admin", "PUT", `/api/tokens/${id}`, { limits: { calls_per_day: 16 } });
  await system.cron();
  await system.cron();
  assert.deepEqual(receivers.got, [], "half of the new limit was used when it was raised");
  await use(13);
  assert.match((await arrives())[0].text, /80% of its daily call quota: 13 \/ 16/);
});

test("a token that ends is told of", async () => {
  const { id } = await token({ expires_days: 2 });
  const [ends] = await arrives();
  assert.match(ends.text, /^Token “Daily digest” expires within 3 d: \d{4}-\d\d-\d\d \d\d:\d\d UTC\.$/);
  assert.equal(new URL(ends.link).pathname, `/tokens/${id}`);
});

test("a route is told of once it has failed for ten minutes, and once it works again", async () => {
  const { id } = await route("failing");
  const calls = (count, ago, more) =>
    Array.from({ length: count }, (_, n) =>
      callOf(`f${ago}-${n}-${more.status}`, { route_id: id, at: Date.now() - ago, ...more }),
    );
  const bad = { outcome: "upstream-error", status: 502 };
  await system.deliver([messageOf("f1", calls(5, 1_000, bad))]);
  await system.cron();
  await system.cron();
  assert.ok((await bell()).some((note) => note.kind === "route-failing" && note.subject === id));
  assert.deepEqual(receivers.got, [], "it has not lasted");
  const bucket = 5 * MINUTE;
  const into = Date.now() % bucket;
  await system.deliver([
    messageOf("f2", [...calls(5, into + bucket / 2, bad), ...calls(5, into + bucket * 1.5, bad)]),
  ]);
  const [failing] = await arrives();
  assert.equal(failing.event, "route-failing");
  assert.match(failing.text, /^\/api\/failing: 15 of 15 calls failed in the last hour/);
  receivers.got.length = 0;
  await system.deliver([messageOf("f3", calls(60, 500, { outcome: "ok", status: 200 }))]);
  const [works] = await arrives();
  assert.deepEqual([works.event, works.text], ["route-recovered", "/api/failing works again."]);
});

test("a token whose hour is far above the usual is told of", async () => {
  const { id } = await token();
  await run("UPDATE tokens SET created_at = 1 WHERE id = ?", id);
  const hour = Math.floor(Date.now() / 3_600_000) * 3_600_000;
  await system.usage.db.batch(
    [1, 2, 3, 4, 5, 6, 7, 8].map((week) =>
      system.usage.db
        .prepare("INSERT INTO rollups VALUES ('token', 'hour', ?, ?, 20,20,0,0,0,0,0,0,1,1,0,0,0,0,0,0,'{}')")
        .bind(hour - week * 7 * DAY, `automation ${id}`),
    ),
  );
  const calls = Array.from({ length: 110 }, (_, n) => callOf(`s${n}`, { token_id: id }));
  await system.deliver([messageOf("s", calls)]);
  const [spike] = await arrives();
  assert.equal(spike.text, "Token “Daily digest” has made 110 calls this hour; 20 are usual.");
});

test("a token that is used from a new country or address is told of, once its habits are known", async () => {
  const { id } = await token();
  const from = (n, client_ip, country) =>
    system.deliver([messageOf(n, [callOf(n, { token_id: id, client_ip, country })])]);
  await from("e1", "203.0.113.7", "TW");
  await from("e2", "198.51.100.1", "JP");
  await system.cron();
  assert.deepEqual(receivers.got, [], "it is learnt for a week");
  await run("UPDATE token_places SET first_at = first_at - ? WHERE token_id = ?", 8 * DAY, id);
  await from("e3", "203.0.113.7", "TW");
  await from("e4", "203.0.113.7", "KP");
  const [elsewhere] = await arrives();
  assert.equal(elsewhere.text, "Token “Daily digest” was used from KP, for the first time in 30 days.");
  assert.ok((await bell()).some((note) => note.kind === "token-elsewhere" && note.details.place === "KP"));
});

test("late publication and what the canary finds are told of", async () => {
  await system.faults("api", { kv: { fail: ["put"] }, feed: { fail: true } });
  try {
    await token();
    await run("UPDATE outbox SET created_at = ?", Date.now() - 6 * MINUTE);
    const [late] = await arrives();
    assert.equal(late.text, "1 change has waited for publication for 6 min.");
  } finally {
    await system.faults("api", { kv: null, feed: null });
  }
  receivers.got.length = 0;
  await system.faults("api", { gateway: { fail: true } });
  await run("UPDATE settings SET value = json_set(value, '$.at', 0) WHERE key = 'canary-run'");
  const [away] = await arrives();
  assert.deepEqual([away.event, away.text], ["canary-late", "The gateway does not respond."]);
  await system.faults("api", { gateway: {} });
  assert.ok((await bell()).some((note) => note.kind === "canary" && note.subject === "gateway"));
});

test("dead letters and a database that is nearly full are told of", async () => {
  await system.deliver([{ id: "m", body: "garbage" }]);
  assert.equal((await arrives())[0].text, "1 usage message could not be read.");
  receivers.got.length = 0;
  await system.usage.db
    .prepare("INSERT INTO imported_parts (digest, at) VALUES (?, 1)")
    .bind("x".repeat(800_000))
    .run();
  assert.match((await arrives())[0].text, /^The database USAGE_DB is over (75|90)% full\.$/);
  await system.usage.db.prepare("DELETE FROM imported_parts").run();
});

test("a new admin, and a token whose maker has left, are told of", async () => {
  await ask("admin", "POST", "/api/users/user_newcomer/team-membership", {
    team_id: "automation",
    role: "DEVELOPER",
  });
  const { id } = await token({ name: "Left behind" }, "newcomer");
  await ask("admin", "DELETE", "/api/users/user_newcomer/team-membership/automation");
  const [left] = await arrives();
  assert.equal(left.text, "Nick Newcomer made the token “Left behind” and may no longer manage it.");
  assert.equal(new URL(left.link).pathname, `/tokens/${id}`);
  receivers.got.length = 0;
  await ask("admin", "PUT", "/api/users/user_manager/team-role", { team_ids: ["automation"], role: "ADMIN" });
  assert.equal((await arrives())[0].text, "Max Manager is now ADMIN of the team automation.");
});

test("a team's budget is told of when its tokens together have used it", async () => {
  await ask("admin", "PUT", "/api/prices/demo-1", { prompt: 1_000_000, completion: 2_000_000 });
  await ask("admin", "POST", "/api/routes", {
    name: "ai",
    path: "/api/ai",
    backend_url: `${system.upstream.url}/v1`,
    settings: { ai: { provider: "openai" } },
  });
  await ask("admin", "PUT", "/api/teams/automation", { budget: { cost_micros_per_month: 30 } });
  const { token: secret } = await token();
  const call = async () => {
    const response = await system.gateway("/api/ai/chat/completions", {
      method: "POST",
      headers: { "x-api-key": secret, "content-type": "application/json" },
      body: JSON.stringify({ model: "demo-1", max_tokens: 6 }),
    });
    await response.text();
    return response.status;
  };
  await eventually(async () => (await call()) === 429, 20_000, "the budget's end");
  const [spent] = await arrives();
  assert.match(
    spent.text,
    /^“Automation” has used (50|80|100)% of its monthly budget: \$0\.00 \/ \$0\.00\.$/,
  );
  assert.equal(new URL(spent.link).pathname, "/teams/automation");
});

test("every event that a channel can ask for was told of at each kind, with a link to the page of its subject", async () => {
  const document = await (await system.call("/openapi.json")).json();
  const { oneOf } = document.components.schemas.Event;
  const choices = oneOf.flatMap((one) => one.enum ?? one.const).filter((event) => event !== "test");
  assert.deepEqual([...new Set(told.map(({ event }) => event))].sort(), choices.toSorted());
  assert.deepEqual(EVENTS.toSorted(), choices.toSorted());
  const pageOf = ({ event, subject, details }) => {
    if (event === "budget")
      return details.token ? `/tokens/${details.token}` : `/teams/${subject.split(" ")[0]}`;
    if (event.startsWith("token-")) return `/tokens/${subject}`;
    if (event.startsWith("route-")) return `/routes/${subject}`;
    return event === "admin-added" ? "/users" : "/system-health";
  };
  for (const alert of told) assert.equal(new URL(alert.link).pathname, pageOf(alert), alert.event);
});
