// Reports, lists with figures, single calls, files, and calls reported by other gateways.
// Its lines stay in one file: each file starts a system of its own, which takes seconds.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";
import { as, eventually, startOnSockets } from "../support/harness.mjs";
import { mintLegacyToken, sha256 } from "../support/tokens.mjs";
import { messageKey } from "../support/usage.mjs";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
let system;
// These tests deliver calls that are months old; the consumer accepts them as long as raw calls are kept.
before(async () => (system = await startOnSockets({ apiVars: { EVENTS_RETENTION_DAYS: "1000" } })));
after(() => system?.stop());

const ask = (user, where, method = "GET", body) => as(system, user, method, where, body);
const fields = (answer) => answer.body.details?.map((d) => d.field);
let serial = 0;
const event = (more = {}) => ({
  id: `r${serial++}`,
  at: Date.now(),
  token_id: "tok_r",
  team: "automation",
  route_id: "rte_r",
  route_path: "/api/r",
  path: "/api/r",
  method: "GET",
  status: 200,
  outcome: "ok",
  latency_ms: 10,
  gateway_ms: 1,
  request_id: "req_r",
  ...more,
});
async function deliver(events) {
  for (let i = 0; i < events.length; i += 50)
    await system.deliver([
      {
        id: `q${serial++}`,
        body: JSON.stringify({ v: 1, key: messageKey(), events: events.slice(i, i + 50) }),
      },
    ]);
}
const create = async (more) =>
  (await ask("admin", "/api/tokens", "POST", { name: "t", team_id: "automation", scopes: ["*"], ...more }))
    .body;

test("a token's report is split by route, a route's by token, a team's by both; each adds up", async () => {
  const [one, two] = [await create({ name: "one" }), await create({ name: "two" })];
  const route = (
    await ask("admin", "/api/routes", "POST", {
      name: "r",
      path: "/api/reported",
      backend_url: `${system.upstream.url}/echo`,
    })
  ).body;
  const call = (token, route_id, more) => event({ token_id: token.id, route_id, ...more });
  await deliver([
    ...Array.from({ length: 3 }, () => call(one, route.id, { latency_ms: 100 })),
    call(one, "rte_other", { outcome: "denied-scope", status: 403 }),
    ...Array.from({ length: 2 }, () =>
      call(two, route.id, { outcome: "upstream-error", status: 500, bytes_out: 7 }),
    ),
  ]);
  const token = (await ask("viewer", `/api/usage/token/${one.id}`)).body;
  assert.deepEqual(
    token.by_route.map((r) => [r.route_id, r.path, r.calls]),
    [
      [route.id, "/api/reported", 3],
      ["rte_other", null, 1],
    ],
  );
  assert.deepEqual([token.total.calls, token.total.denied, token.tz], [4, 1, "UTC"]);
  assert.ok(Math.abs(token.by_route[0].p95_ms - 100) <= 10);
  const of = (await ask("viewer", "/api/usage/route?route_path=/api/reported")).body;
  assert.deepEqual(
    of.by_token.map((t) => [t.name, t.calls, t.ok]),
    [
      ["one", 3, 3],
      ["two", 2, 0],
    ],
  );
  assert.deepEqual([of.total.calls, of.total.upstream_errors, of.total.bytes_out], [5, 2, 14]);
  const team = (await ask("viewer", "/api/usage/team/automation")).body;
  assert.equal(
    team.total.calls,
    team.by_token.reduce((n, t) => n + t.calls, 0),
  );
  assert.equal(
    team.total.calls,
    team.by_route.reduce((n, r) => n + r.calls, 0),
  );
  assert.equal((await ask("newcomer", `/api/usage/token/${one.id}`)).status, 404);
  assert.equal((await ask("viewer", "/api/usage/team/core-team")).status, 404);
  assert.equal((await ask("viewer", "/api/usage/route?route_path=/api/none")).status, 404);
  assert.deepEqual(fields(await ask("viewer", "/api/usage/route")), ["route_path"]);
});

test("every token and route of a list has its figures, in every sort order", async () => {
  const tokens = [];
  for (let i = 0; i < 7; i++) tokens.push(await create({ name: `list ${String.fromCharCode(71 - i)}` }));
  await deliver(
    tokens
      .slice(0, 6)
      .flatMap((t, i) => [
        ...Array.from({ length: i + 1 }, () => event({ token_id: t.id, at: Date.now() - i * 1000 })),
        ...Array.from({ length: 6 - i }, () =>
          event({ token_id: t.id, outcome: "timeout", status: 504, at: Date.now() - i * 1000 }),
        ),
      ]),
  );
  const walk = async (sort) => {
    const items = [];
    for (let cursor = ""; ;) {
      const { status, body } = await ask(
        "viewer",
        `/api/usage/tokens?search=list&limit=3&sort=${sort}${cursor && `&cursor=${cursor}`}`,
      );
      assert.equal(status, 200, JSON.stringify(body));
      items.push(...body.items);
      if (!body.next_cursor) return items;
      cursor = body.next_cursor;
    }
  };
  const byName = await walk("name");
  assert.deepEqual(
    byName.map((t) => t.name),
    [..."ABCDEFG"].map((c) => `list ${c}`),
  );
  assert.deepEqual(
    byName.map((t) => t.calls),
    [0, 7, 7, 7, 7, 7, 7],
    "a token that was never called is listed with 0",
  );
  assert.deepEqual(
    (await walk("errors")).map((t) => t.timeouts),
    [6, 5, 4, 3, 2, 1, 0],
  );
  assert.deepEqual(
    (await walk("last_used")).map((t) => t.name).slice(0, 6),
    [..."GFEDCB"].map((c) => `list ${c}`),
  );
  assert.equal(new Set((await walk("calls")).map((t) => t.token_id)).size, 7);
  const routes = (await ask("viewer", "/api/usage/routes?search=reported")).body.items;
  assert.deepEqual(
    routes.map((r) => [r.path, r.calls]),
    [["/api/reported", 5]],
  );
  const foreign = (await ask("admin", "/api/teams", "POST", { id: "foreign", name: "f" })).status;
  assert.equal(foreign, 201);
  assert.equal(
    (await ask("admin", "/api/usage/routes?search=reported&team_id=foreign")).body.items[0].calls,
    0,
  );
  assert.deepEqual((await ask("newcomer", "/api/usage/tokens")).body.items, []);
});

test("days follow the viewer's time zone, even when its clock changes", async () => {
  // Berlin, 2026-03-29: 23 hours long, from 23:00Z to 22:00Z.
  const midnight = Date.UTC(2026, 2, 28, 23);
  await deliver(
    [-1, 0, 22, 23].map((hours) => event({ token_id: "tok_dst", at: midnight + hours * HOUR + 60_000 })),
  );
  const series = async (tz, from = midnight - DAY, to = midnight + 2 * DAY) => {
    const { status, body } = await ask(
      "admin",
      `/api/usage/stats?token_id=tok_dst&interval=day&tz=${tz}&from=${from}&to=${to}`,
    );
    assert.equal(status, 200, JSON.stringify(body));
    return body.series.map((b) => [new Date(b.at).toISOString().slice(0, 16), b.calls]);
  };
  assert.deepEqual(await series("Europe/Berlin"), [
    ["2026-03-27T23:00", 1],
    ["2026-03-28T23:00", 2],
    ["2026-03-29T22:00", 1],
  ]);
  // A range that begins after the change of the clock begins at that day's own midnight.
  assert.deepEqual(await series("Europe/Berlin", midnight + 12 * HOUR), [
    ["2026-03-28T23:00", 2],
    ["2026-03-29T22:00", 1],
  ]);
  assert.deepEqual(await series("UTC"), [
    ["2026-03-28T00:00", 2],
    ["2026-03-29T00:00", 2],
  ]);
  assert.deepEqual(await series("Asia/Taipei"), [
    ["2026-03-28T16:00", 2],
    ["2026-03-29T16:00", 2],
  ]);
  assert.deepEqual(fields(await ask("admin", "/api/usage/stats?tz=Mars/Olympus")), ["tz"]);
});

test("intervals of five minutes are shown for the last two days", async () => {
  const now = Date.now();
  await deliver(
    [0, 1, 11].map((minutes) => event({ token_id: "tok_5m", at: now - minutes * 60_000 - 60_000 })),
  );
  const { body } = await ask("admin", `/api/usage/stats?token_id=tok_5m&interval=5m&from=${now - HOUR}`);
  assert.equal(body.total.calls, 3);
  assert.ok(body.series.length >= 2 && body.series.every((b) => b.at % 300_000 === 0));
  assert.deepEqual(
    body.by_token.map((t) => t.calls),
    [3],
  );
  assert.deepEqual(
    fields(
      await ask("admin", `/api/usage/stats?interval=5m&from=${now - 3 * DAY}&to=${now - 3 * DAY + HOUR}`),
    ),
    ["interval"],
  );
});

test("single calls have filters and a cursor, and show only the caller's teams", async () => {
  const base = Date.now() - HOUR;
  await deliver(
    Array.from({ length: 120 }, (_, i) =>
      event({
        token_id: "tok_e",
        at: base + (i % 60) * 1000,
        status: i % 3 ? 200 : 404,
        outcome: i % 3 ? "ok" : "client-error",
        method: i % 2 ? "GET" : "POST",
        path: `/api/r/${i % 10}`,
      }),
    ),
  );
  const walk = async (query, user = "viewer") => {
    const items = [];
    for (let cursor = ""; ;) {
      const { status, body } = await ask(
        user,
        `/api/usage/events?token_id=tok_e&limit=50${query}${cursor && `&cursor=${cursor}`}`,
      );
      assert.equal(status, 200, JSON.stringify(body));
      items.push(...body.items);
      if (!body.next_cursor) return items;
      cursor = body.next_cursor;
    }
  };
  const all = await walk("");
  assert.equal(new Set(all.map((e) => e.id)).size, 120);
  assert.ok(
    all.every((e, i) => i === 0 || e.at <= all[i - 1].at),
    "newest first",
  );
  assert.equal((await walk("&status=4xx")).length, 40);
  assert.equal((await walk("&outcome=client-error&method=post")).length, 20);
  assert.equal((await walk("&path=/api/r/7")).length, 12);
  assert.equal((await walk(`&from=${base}&to=${base + 10_000}`)).length, 20);
  assert.equal((await walk("&team_id=automation")).length, 120);
  assert.equal((await walk("&route_id=rte_r")).length, 120);
  assert.equal((await walk("", "newcomer")).length, 0);
  for (const [query, field] of [
    ["outcome=bad", "outcome"],
    ["status=6xx", "status"],
    ["cursor=x", "cursor"],
    ["limit=0", "limit"],
    ["from=x", "from"],
  ]) {
    assert.deepEqual(fields(await ask("viewer", `/api/usage/events?${query}`)), [field], query);
  }
});

test("the file contains every call, is streamed, and injects no formula into a spreadsheet", async () => {
  const rows = 12_000;
  const [start, user_agent] = [Date.now() - DAY, `=cmd|'/c calc'!A1, "x"`];
  await deliver(
    Array.from({ length: rows }, (_, i) =>
      event({ id: `x${i}`, at: start + i, token_id: "tok_file", user_agent }),
    ),
  );
  const response = await system.call("/api/usage/export?token_id=tok_file", {
    headers: { authorization: `Bearer ${system.jwt("viewer")}` },
  });
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type"), /text\/csv/);
  assert.match(response.headers.get("content-disposition"), /attachment/);
  assert.equal(response.headers.get("content-length"), null, "streamed");
  const bytes = Buffer.from(await response.arrayBuffer());
  assert.deepEqual([...bytes.subarray(0, 3)], [0xef, 0xbb, 0xbf]);
  const lines = bytes.toString("utf8").trim().split("\r\n");
  assert.equal(lines.length, rows + 1);
  assert.equal(new Set(lines.slice(1).map((line) => line.split(",")[1])).size, rows);
  assert.match(lines[1], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z,x11999,tok_file,/);
  assert.ok(lines[1].includes(`"'=cmd|'/c calc'!A1, ""x"""`), lines[1]);
  assert.deepEqual(fields(await ask("viewer", "/api/usage/export?limit=5")), ["limit"]);
  const audit = await system.call("/api/dashboard/audit-logs/export", {
    headers: { authorization: `Bearer ${system.jwt("admin")}` },
  });
  const text = await audit.text();
  assert.match(text.split("\r\n")[1], /,user_admin,Ada Admin,create-/);
  assert.equal((await ask("viewer", "/api/dashboard/audit-logs/export")).status, 403);
});

test("the first page and the counts cover only the caller's teams", async () => {
  const admin = (await ask("admin", "/api/dashboard/overview")).body;
  assert.ok(
    admin.counts.tokens >= 9 &&
      admin.counts.teams >= 2 &&
      admin.counts.people >= 5 &&
      admin.counts.calls > 100,
  );
  assert.ok(admin.busiest_tokens.length === 5 && admin.busiest_routes.length > 0 && admin.total.calls > 0);
  assert.ok(admin.recent_changes.length === 10 && admin.tokens_created.length >= 1);
  assert.deepEqual(
    admin.tokens_by_team.find((t) => t.team_id === "foreign"),
    { team_id: "foreign", name: "f", tokens: 0 },
  );
  await create({ name: "soon", expires_days: 5 });
  const viewer = (await ask("viewer", "/api/dashboard/overview")).body;
  assert.deepEqual([viewer.counts.teams, viewer.counts.people, viewer.recent_changes], [1, 3, []]);
  assert.deepEqual(
    viewer.expiring.map((t) => t.name),
    ["soon"],
  );
  const nobody = (await ask("newcomer", "/api/stats")).body;
  assert.deepEqual([nobody.tokens, nobody.teams, nobody.people, nobody.calls], [0, 0, 0, 0]);
});

test("parity fault 3: the usage log accepts only signed calls, and a repeat counts once", async () => {
  const token = await create({ name: "logged" });
  const body = JSON.stringify({
    token_hash: sha256(token.token),
    route: "/api/openai",
    timestamp: new Date().toISOString(),
    response_status: 200,
    response_time_ms: 12.7,
    ip_address: "10.0.0.1",
    user_agent: "old gateway",
    request_method: "POST",
    error_message: null,
  });
  const key = Buffer.from(system.secrets.USAGE_LOG_KEY, "base64");
  const sign = (text, at = Math.floor(Date.now() / 1000)) =>
    `t=${at},v1=${createHmac("sha256", key).update(`${at}.${text}`).digest("hex")}`;
  const post = (text, signature) =>
    system.call("/api/usage-log", {
      method: "POST",
      body: text,
      headers: signature ? { "x-signature": signature } : {},
    });
  for (const [what, signature] of [
    ["none", undefined],
    ["old", sign(body, Math.floor(Date.now() / 1000) - 400)],
    ["another body", sign(`${body} `)],
    ["garbage", "v1=00"],
  ]) {
    const response = await post(body, signature);
    assert.deepEqual([response.status, (await response.json()).code], [401, "bad-signature"], what);
  }
  for (let i = 0; i < 3; i++) {
    const response = await post(body, sign(body));
    assert.deepEqual([response.status, (await response.json()).recorded], [202, true]);
  }
  // A call with an id of its own is known by that, whatever its timestamp.
  for (const ms of [0, 1_000, 60_000]) {
    const timestamp = new Date(Date.now() - ms).toISOString();
    const again = JSON.stringify({ ...JSON.parse(body), request_id: "own-1", timestamp });
    assert.equal((await post(again, sign(again))).status, 202);
  }
  const unknown = body.replace(sha256(token.token), "e".repeat(64));
  assert.equal((await (await post(unknown, sign(unknown))).json()).recorded, false);
  const own = () =>
    system.call("/api/usage/me", { headers: { "x-api-key": token.token } }).then((r) => r.json());
  await eventually(async () => (await own()).total.calls === 2, 10_000, "the calls");
  const [call] = (await own()).recent;
  assert.deepEqual([call.method, call.path, call.status, call.latency_ms], ["POST", "/api/openai", 200, 12]);
  const bad = '{"token_hash":"x"}';
  assert.equal((await post(bad, sign(bad))).status, 422);
});

test("implausible counts are clamped, and calls older than retention are dropped and reported", async () => {
  const ai = { prompt_tokens: 2 ** 53 - 1, completion_tokens: 3, cost_micros: 2 ** 53 - 1 };
  await deliver([
    ...Array.from({ length: 40 }, () => event({ token_id: "tok_vast", bytes_out: 2 ** 53 - 1, ai })),
  ]);
  const { status, body } = await ask("admin", "/api/usage/stats?token_id=tok_vast");
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual(
    [body.total.calls, body.total.bytes_out, body.total.prompt_tokens, body.total.completion_tokens],
    [40, 40 * 2 ** 38, 40 * 2 ** 30, 120],
  );
  const { dropped } = await system.usage.losses();
  const messages = [
    event({ token_id: "tok_late", at: Date.now() - 1001 * DAY }),
    event({ token_id: "tok_late" }),
  ]
    .map((one) => JSON.stringify({ v: 1, events: [one] }))
    .map((body) => ({ id: `q${serial++}`, body }));
  for (let i = 0; i < 2; i++) await system.deliver(messages);
  assert.equal(await system.usage.calls({ token: "tok_late" }), 1);
  assert.equal((await system.usage.losses()).dropped, dropped + 1);
});

test("ranges over 400 days ago are shown by whole UTC days, and refused otherwise", async () => {
  const day = Math.floor(Date.now() / DAY) * DAY - 500 * DAY;
  await deliver([event({ token_id: "tok_old", at: day + HOUR })]);
  const of = (query) =>
    ask("admin", `/api/usage/stats?token_id=tok_old&from=${day}&to=${day + 2 * DAY}&${query}`);
  assert.deepEqual(
    (await of("interval=day")).body.series.map((b) => [b.at, b.calls]),
    [[day, 1]],
  );
  for (const query of ["interval=hour", "interval=day&tz=Asia/Taipei"])
    assert.deepEqual(fields(await of(query)), ["from"], query);
});

test("a token's own usage respects its allow-list, and an unknown legacy token is refused", async () => {
  const token = await create({ ip_allow: ["203.0.113.0/24"] });
  const own = (ip) =>
    system.call("/api/usage/me", { headers: { "x-api-key": token.token, "cf-connecting-ip": ip } });
  assert.equal((await own("203.0.113.9")).status, 200);
  const refused = await own("198.51.100.1");
  assert.deepEqual([refused.status, (await refused.json()).code], [403, "ip-not-allowed"]);
  assert.equal(
    (await system.call("/api/usage/me", { headers: { "x-api-key": mintLegacyToken() } })).status,
    401,
  );
});
