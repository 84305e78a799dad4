// Imports the earlier system's data: the same tokens work at the gateway, and a second import changes
// nothing. The dump is made up, with tokens minted here.
// Its lines stay in one file: each file starts a system of its own, which takes seconds.
import assert from "node:assert/strict";
import { spawnSync, spawn } from "node:child_process";
import { createServer } from "node:http";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { root } from "../../scripts/setup.mjs";
import { listen } from "../../local/listen.mjs";
import { as, eventually, startOnSockets } from "../support/harness.mjs";
import { mintLegacyToken, sha256 } from "../support/tokens.mjs";

const tokens = {
  marketing: mintLegacyToken(),
  narrow: mintLegacyToken(),
  bare: mintLegacyToken(),
  late: mintLegacyToken(),
  dead: mintLegacyToken(),
};
const key = (name) => `token:${sha256(tokens[name])}`;
let system;
let folder;
let kv;
before(async () => {
  system = await startOnSockets();
  folder = mkdtempSync(path.join(tmpdir(), "dump-"));
  const echo = `${system.upstream.url}/echo`;
  kv = {
    [key("marketing")]: JSON.stringify({
      name: "Marketing n8n",
      department: "Marketing",
      scopes: ["*"],
      created_at: "2025-11-01T00:00:00",
      expires_at: null,
    }),
    [key("narrow")]: JSON.stringify({
      name: "Narrow",
      team_id: "automation",
      scopes: ["tag:ai"],
      created_at: "2025-11-01T00:00:00",
      expires_at: "2099-01-01T00:00:00",
    }),
    [key("bare")]: JSON.stringify({ name: "Bare", team_id: "automation", created_at: "2025-11-01T00:00:00" }),
    [key("late")]: JSON.stringify({
      name: "Late",
      team_id: "automation",
      scopes: ["*"],
      expires_at: "2025-12-01T00:00:00",
    }),
    "token:oops": "{}",
    routes: JSON.stringify({
      "/api/vendor": {
        url: echo,
        tags: ["ai"],
        auth: { type: "bearer", config: { token_ref: "VENDOR_KEY" } },
      },
      "/api/lost": { url: echo, auth: { type: "bearer", config: { token_ref: "LOST_KEY" } } },
      "/api/open": echo,
    }),
    "secret:VENDOR_KEY": JSON.stringify({ value: "vendor-secret" }),
  };
  writeFileSync(
    path.join(folder, "kv.json"),
    JSON.stringify(Object.entries(kv).map(([name, value]) => ({ key: name, value }))),
  );
  writeFileSync(path.join(folder, "teams.csv"), 'id,name,description\nMarketing,Marketing,"Ads, mostly"\n');
  writeFileSync(
    path.join(folder, "tokens.json"),
    JSON.stringify([{ token_hash: sha256(tokens.dead), name: "Dead", team_id: "automation", scopes: ["*"] }]),
  );
  const at = (days) => new Date(Date.now() - days * 86_400_000).toISOString().replace("Z", "");
  const calls = Array.from(
    { length: 2_500 },
    (_, i) =>
      `${sha256(tokens.marketing)},/api/vendor,${at(i % 60)},${i % 10 ? 200 : 502},${i % 300},10.0.${i >> 8}.${i & 255},"n8n, ""1.0""",POST,`,
  );
  writeFileSync(
    path.join(folder, "token_usage_logs.csv"),
    [
      "token_hash,route,timestamp,response_status,response_time_ms,ip_address,user_agent,request_method,error_message",
      ...calls,
      ",,,,,,,,",
    ].join("\n"),
  );
  // Before the import, the gateway serves the entries that the earlier system wrote.
  for (const [name, value] of Object.entries(kv)) await system.kv.put(name, value);
});
after(async () => {
  await system?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

const run = (...more) => runIn(folder, {}, ...more);
const runIn = (folder, env, ...more) =>
  new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      [path.join(root, "scripts/ops/import.mjs"), folder, "--api", system.urls.api, ...more],
      { env: { ...process.env, TOKEN_MANAGER_SESSION: system.jwt(), ...env } },
    );
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
    child.on("close", (code) => resolve({ code, output }));
  });
const call = async (token, where = "/api/vendor") => {
  const response = await system.gateway(where, { headers: { "x-api-key": token } });
  const text = await response.text();
  return [response.status, text];
};
const rows = async (table) => system.db.prepare(`SELECT count(*) AS n FROM ${table}`).first("n");

test("a check shows what would happen and changes nothing", async () => {
  const state = () =>
    Promise.all([...["tokens", "routes", "teams", "audit"].map(rows), system.usage.calls()]);
  const before = await state();
  const { code, output } = await run();
  assert.equal(code, 0, output);
  assert.match(output, /created {2}team {3}marketing: "Marketing" becomes marketing/);
  assert.match(output, /created {2}token {2}Bare \([0-9a-f]{8}…\): has no scopes, so it grants nothing/);
  assert.match(output, /created {2}route {2}\/api\/lost: the dump lacks the secret LOST_KEY/);
  assert.match(output, /refused {2}token {2}oops: its hash is not/);
  assert.match(output, /refused {2}calls {2}token_usage_logs: 1 rows lack/);
  assert.match(
    output,
    /created {2}calls {2}token_usage_logs: 2000 calls; 2000 of tokens that are not here yet/,
  );
  assert.match(output, /would be: /);
  assert.deepEqual(await state(), before);
});

test("an import without the route table leaves the one in KV alone", async () => {
  const token = mintLegacyToken();
  const entry = { value: JSON.stringify({ name: "Early", team_id: "automation", scopes: ["*"] }) };
  const { status, body } = await as(system, "admin", "POST", "/api/import", {
    mode: "apply",
    kv: { [`token:${sha256(token)}`]: entry },
  });
  assert.deepEqual(
    [status, body.items.map((i) => `${i.kind} ${i.outcome}`)],
    [200, ["team exists", "token created"]],
    JSON.stringify(body),
  );
  await system.cron();
  assert.equal(await system.kv.get("routes"), kv.routes);
  assert.equal((await call(token, "/api/open"))[0], 200);
});

test("a token whose team was deleted here is refused, and the others are imported", async () => {
  assert.equal(
    (await as(system, "admin", "POST", "/api/teams", { id: "closed", name: "Closed" })).status,
    201,
  );
  assert.equal((await as(system, "admin", "DELETE", "/api/teams/closed")).status, 200);
  const entries = ["closed", "automation"].map((team_id) => [
    `token:${sha256(mintLegacyToken())}`,
    { name: `Of ${team_id}`, team_id, scopes: ["*"] },
  ]);
  const { status, body } = await as(system, "admin", "POST", "/api/import", {
    mode: "apply",
    kv: Object.fromEntries(entries),
  });
  assert.equal(status, 200, JSON.stringify(body));
  const outcomes = Object.fromEntries(body.items.map((i) => [i.subject.split(" (")[0], i.outcome]));
  assert.deepEqual(body.items.find((i) => i.subject === "closed").notes.at(-1), {
    code: "import-team-deleted",
    message: "its team was deleted here",
  });
  assert.deepEqual(outcomes, {
    automation: "exists",
    closed: "refused",
    "Of automation": "created",
    "Of closed": "refused",
  });
});

test("after the import, the same tokens work with exactly their permissions", async () => {
  const { code, output } = await run("--apply");
  assert.equal(code, 0, output);
  await eventually(async () => JSON.parse(await system.kv.get("routes"))?.v === 2, 10_000, "the new table");
  await eventually(
    async () => JSON.parse(await system.kv.get(key("marketing")))?.v === 2,
    10_000,
    "the new entries",
  );
  await new Promise((resolve) => setTimeout(resolve, 11_000)); // the gateway's cache
  const [status, text] = await call(tokens.marketing);
  assert.equal(status, 200);
  assert.match(text, /Bearer vendor-secret/);
  assert.equal((await call(tokens.marketing, "/api/open"))[0], 200);
  assert.equal(
    (await call(tokens.marketing, "/api/lost"))[0],
    404,
    "disabled, because it would go out without its credential",
  );
  assert.deepEqual([(await call(tokens.narrow))[0], (await call(tokens.narrow, "/api/open"))[0]], [200, 403]);
  assert.equal((await call(tokens.bare))[0], 403);
  assert.equal((await call(tokens.late))[0], 401);
  assert.equal((await call(tokens.dead))[0], 401, "a token that was only in the table did not work");
  const own = await (
    await system.call("/api/usage/me", { headers: { "x-api-key": tokens.marketing } })
  ).json();
  assert.ok(own.total.calls >= 2_500 && own.total.upstream_errors === 250, JSON.stringify(own.total));
  const from = new Date(Date.now() - 70 * 86_400_000).toISOString();
  const route = await as(system, "admin", "GET", `/api/usage/route?route_path=/api/vendor&from=${from}`);
  assert.ok(route.body.total.calls >= 2_500, "the calls count for the route too");
  const list = (await as(system, "admin", "GET", "/api/tokens?team_id=marketing")).body.items;
  assert.deepEqual([list[0].name, list[0].created_at], ["Marketing n8n", Date.UTC(2025, 10, 1)]);
  const dump = JSON.stringify((await system.db.prepare("SELECT * FROM credentials").all()).results);
  assert.ok(!dump.includes("vendor-secret"), "sealed");
});

test("a second import changes nothing, even after the raw calls were deleted", async () => {
  const state = async () =>
    JSON.stringify(
      await Promise.all([
        ...["tokens", "token_secrets", "routes", "credentials", "teams"].map(
          async (table) =>
            (await system.db.prepare(`SELECT * FROM ${table} ORDER BY 1, 2, 3, 4`).all()).results,
        ),
        system.usage.calls(),
      ]),
    );
  // The calls of the previous test take a second or two to pass through the queue.
  let last;
  await eventually(
    async () => {
      const previous = last;
      last = await state();
      return last === previous || void (await new Promise((resolve) => setTimeout(resolve, 2_500)));
    },
    30_000,
    "quiet",
  );
  assert.ok((await system.usage.calls({ team: "marketing" })) >= 2_500, "the calls are counted");
  await system.cron();
  await system.usage.db.prepare("DELETE FROM segments").run();
  const before = await state();
  const { code, output } = await run("--apply");
  assert.equal(code, 0, output);
  assert.match(output, /done: 0 created, /);
  assert.equal(await state(), before);
});

/** Makes a dump of this many tokens and calls, each call twice. Tokens and teams begin with `name`. */
function largeDump(tokens, calls, name = "Large") {
  const large = mkdtempSync(path.join(tmpdir(), "dump-"));
  const hashes = Array.from({ length: tokens }, (_, i) => sha256(`${name} ${i}`));
  writeFileSync(
    path.join(large, "kv.json"),
    JSON.stringify(
      Object.fromEntries(
        hashes.map((hash, i) => [
          `token:${hash}`,
          JSON.stringify({ name: `${name} ${i}`, team_id: `${name.toLowerCase()}-${i % 7}`, scopes: ["*"] }),
        ]),
      ),
    ),
  );
  writeFileSync(
    path.join(large, "tokens.csv"),
    `token_hash,name,is_active\r\n${hashes.map((hash, i) => `${hash},"${name}, ${i}",${i % 10 ? "true" : "false"}`).join("\r\n")}\r\n`,
  );
  const at = (i) => new Date(Date.UTC(2024, 0, 1) + (i % 500) * 86_400_000).toISOString().slice(0, 19);
  const line = (i) => `${hashes[i % tokens]},/api/open,${at(i)},200,5,POST`;
  // Equal in every field but far apart: each counts.
  const half = Array.from({ length: calls / 2 }, (_, i) => line(i));
  writeFileSync(
    path.join(large, "token_usage_logs.csv"),
    ["token_hash,route,timestamp,response_status,response_time_ms,request_method", ...half, ...half].join(
      "\n",
    ),
  );
  return { large, hashes };
}

test(
  "a dump of any size comes in parts, each call counts once, and a session that ends is renewed",
  { timeout: 1_800_000 },
  async (t) => {
    const [tokens, calls] = [
      Number(process.env.IMPORT_TOKENS ?? 2_500),
      Number(process.env.IMPORT_CALLS ?? 6_000),
    ];
    const { large, hashes } = largeDump(tokens, calls);
    const ended = { TOKEN_MANAGER_SESSION: system.jwt("admin", { expiresIn: -120 }) };
    const count = async (text) => system.db.prepare(text).first("n");
    try {
      const without = await runIn(large, ended, "--apply");
      assert.deepEqual(
        [without.code, /401 .*\n?.*The session has ended: give CLERK_SECRET_KEY/s.test(without.output)],
        [1, true],
        without.output.slice(-500),
      );
      // The part of Clerk's Backend API that is called: each token that it gives expires at once.
      let given = 0;
      const clerk = createServer((request, response) => {
        const isRight =
          request.method === "POST" &&
          request.url === "/v1/sessions/sess_user_admin/tokens" &&
          request.headers.authorization === "Bearer sk_test";
        given += 1;
        response
          .writeHead(isRight ? 200 : 404, { "content-type": "application/json" })
          .end(JSON.stringify({ object: "token", jwt: system.jwt("admin", { expiresIn: 10 }) }));
      });
      const port = await listen(clerk);
      const renewed = { ...ended, CLERK_SECRET_KEY: "sk_test", CLERK_API_URL: `http://127.0.0.1:${port}` };
      const started = Date.now();
      const { code, output } = await runIn(large, renewed, "--apply");
      clerk.close();
      assert.equal(code, 0, output.slice(-500));
      const parts = 1 + Math.ceil(tokens / 1_000) + Math.ceil(calls / 2_000);
      assert.match(output, new RegExp(`part ${parts} of ${parts} \\(calls\\)`));
      assert.ok(given >= parts, `renewed ${given} times`);
      assert.equal(await count("SELECT count(*) AS n FROM tokens WHERE name LIKE 'Large %'"), tokens);
      assert.equal(
        await count("SELECT count(*) AS n FROM tokens WHERE name LIKE 'Large %' AND disabled_at IS NOT NULL"),
        tokens / 10,
        "each table row is matched with its KV entry",
      );
      const counted = async () => {
        const teams = Array.from({ length: 7 }, (_, i) => system.usage.calls({ team: `large-${i}` }));
        return (await Promise.all(teams)).reduce((sum, n) => sum + n, 0);
      };
      await eventually(async () => (await counted()) >= calls, 60_000, "the calls");
      assert.equal(await counted(), calls, "equal calls each count");
      assert.equal(
        await system.usage.db
          .prepare(
            "SELECT count(*) AS n FROM rollups WHERE dimension = 'team' AND granularity = '5m' AND key LIKE 'large-%'",
          )
          .first("n"),
        0,
        "rollups that retention deletes at once",
      );
      const again = Date.now();
      const file = path.join(large, "session");
      writeFileSync(file, system.jwt());
      const second = await runIn(
        large,
        { ...ended, TOKEN_MANAGER_SESSION_COMMAND: `cat ${file}` },
        "--apply",
      );
      assert.match(second.output, /done: 0 created, /);
      assert.equal(await counted(), calls);
      t.diagnostic(
        `${tokens} tokens and ${calls} calls in ${parts} parts: ${again - started} ms, again ${Date.now() - again} ms`,
      );
      assert.equal(hashes.length, tokens);
    } finally {
      rmSync(large, { recursive: true, force: true });
    }
  },
);

test(
  "an import by an admin API key needs no renewal, and its credentials need a key that may set them",
  { timeout: 1_800_000 },
  async (t) => {
    const [tokens, calls] = [
      Number(process.env.IMPORT_TOKENS ?? 500),
      Number(process.env.IMPORT_CALLS ?? 2_000),
    ];
    const { large } = largeDump(tokens, calls, "Keyed");
    const key = async (may) => {
      const roles = [{ team_id: "core-team", role: "ADMIN" }];
      const made = await as(system, "admin", "POST", "/api/keys", { name: "import", roles, may });
      assert.equal(made.status, 201, JSON.stringify(made.body));
      return { TOKEN_MANAGER_KEY: made.body.key, TOKEN_MANAGER_SESSION: "" };
    };
    try {
      const [plain, powerful] = [await key([]), await key(["set-credential"])];
      const refused = await runIn(folder, plain, "--apply");
      assert.match(refused.output, /403 Your role does not allow this/, "the dump holds credentials");
      assert.equal((await runIn(folder, powerful, "--apply")).code, 0);
      const started = Date.now();
      const { code, output } = await runIn(large, plain, "--apply");
      assert.equal(code, 0, output.slice(-500));
      t.diagnostic(`${tokens} tokens and ${calls} calls by key: ${Date.now() - started} ms`);
      const n = "SELECT count(*) AS n FROM tokens WHERE name LIKE 'Keyed %'";
      assert.equal(await system.db.prepare(n).first("n"), tokens);
      const counted = async () => {
        const teams = Array.from({ length: 7 }, (_, i) => system.usage.calls({ team: `keyed-${i}` }));
        return (await Promise.all(teams)).reduce((sum, n) => sum + n, 0);
      };
      await eventually(async () => (await counted()) >= calls, 60_000, "the calls");
      assert.equal(await counted(), calls);
    } finally {
      rmSync(large, { recursive: true, force: true });
    }
  },
);

test("a token imported without a table works, even if the published one says that there are none of its form", async () => {
  await system.db
    .prepare(
      "UPDATE tokens SET revoked_at = 1 WHERE id IN (SELECT token_id FROM token_secrets WHERE legacy = 1)",
    )
    .run();
  const route = { name: "Again", path: "/api/again", backend_url: `${system.upstream.url}/echo` };
  assert.equal((await as(system, "admin", "POST", "/api/routes", route)).status, 201);
  const table = async () => JSON.parse(await system.kv.get("routes"));
  await eventually(
    async () => (await table()).legacy_tokens !== true,
    10_000,
    "a table without legacy tokens",
  );
  const token = mintLegacyToken();
  const { status } = await as(system, "admin", "POST", "/api/import", {
    mode: "apply",
    kv: { [`token:${sha256(token)}`]: { name: "Alone", team_id: "automation", scopes: ["*"] } },
  });
  assert.equal(status, 200);
  await eventually(async () => (await table()).legacy_tokens === true, 10_000, "the table that says so");
  await eventually(async () => (await call(token, "/api/again"))[0] === 200, 15_000, "the token");
});

test("calls counted between the cut-over and the import belong to the imported token", async () => {
  const token = mintLegacyToken();
  const entry = { name: "Between", department: "Growth & Data", scopes: ["*"] };
  await system.kv.put(`token:${sha256(token)}`, JSON.stringify(entry));
  await eventually(async () => (await call(token, "/api/again"))[0] === 200, 15_000, "the gateway");
  await eventually(
    async () => (await system.usage.calls({ team: "growth---data" })) > 0,
    15_000,
    "its event",
  );
  assert.equal(
    (
      await as(system, "admin", "POST", "/api/import", {
        mode: "apply",
        kv: { [`token:${sha256(token)}`]: entry },
      })
    ).status,
    200,
  );
  const { items } = (await as(system, "admin", "GET", "/api/tokens?team_id=growth---data")).body;
  const report = await as(system, "admin", "GET", `/api/usage/token/${items[0].id}`);
  assert.ok(report.body.total.calls >= 1, JSON.stringify(report.body.total));
});

test("an import of calls alone has an audit entry, and its repeat has none", async () => {
  const token = mintLegacyToken();
  const entry = { value: JSON.stringify({ name: "Audited", team_id: "automation", scopes: ["*"] }) };
  const settings = { mode: "apply", kv: { [`token:${sha256(token)}`]: entry } };
  assert.equal((await as(system, "admin", "POST", "/api/import", settings)).status, 200);
  const entries = async () =>
    (await as(system, "admin", "GET", "/api/dashboard/audit-logs?action=import&limit=200")).body.items;
  const before = (await entries()).length;
  const calls = {
    mode: "apply",
    tables: {
      token_usage_logs: [
        {
          token_hash: sha256(token),
          route: "/api/open",
          timestamp: new Date(Date.now() - 3_600_000).toISOString(),
          response_status: 200,
        },
      ],
    },
  };
  for (let i = 0; i < 2; i++) {
    const { status, body } = await as(system, "admin", "POST", "/api/import", calls);
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(body.items.at(-1).outcome, i === 0 ? "created" : "exists", JSON.stringify(body));
    assert.equal((await entries()).length, before + 1);
  }
  assert.deepEqual((await entries())[0].after, { teams: 0, tokens: 0, routes: 0, calls: 1 });
});

test("only the platform admin imports, and bad input is named", async () => {
  assert.equal((await as(system, "manager", "POST", "/api/import", { mode: "check" })).status, 403);
  const bad = await as(system, "admin", "POST", "/api/import", { mode: "soon" });
  assert.equal(bad.status, 422);
  assert.deepEqual(bad.body.details, [
    {
      field: "mode",
      code: "either",
      message: "must be `check` or `apply`",
      values: { first: "`check`", second: "`apply`" },
    },
  ]);
  const many = Object.fromEntries(
    Array.from({ length: 2_001 }, (_, i) => [`token:${sha256(String(i))}`, { name: "n" }]),
  );
  assert.deepEqual(
    (await as(system, "admin", "POST", "/api/import", { mode: "check", kv: many })).body.details[0].field,
    "kv",
  );
  const usage = spawnSync(process.execPath, [path.join(root, "scripts/ops/import.mjs")], {
    encoding: "utf8",
  });
  assert.equal(usage.status, 2);
});
