// Two versions of the Workers side by side, as during each deployment and after each rollback: the previous version
// beside the current one, and the current one beside the next, which has a limit and settings that this one does not know.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { PREVIOUS, buildHere, removeBuild } from "../support/builds.mjs";
import { eventually, sleep, startOnSockets } from "../support/harness.mjs";
import { startAws } from "../support/sts.mjs";
import { buildNext, buildPrevious } from "../support/versions.mjs";

const KEY_OF_VENDOR = "vendor-s3cret";
const HERE = "versions-here";
let aws;
before(async () => {
  aws = await startAws();
});
after(() => {
  removeBuild(HERE);
  aws?.close();
});

/** The combinations of versions: the gateway's, the API's, and whether the other version of each runs too. */
const MIXES = [
  ["the older gateway beside the newer API", "older", "newer", false],
  ["the newer gateway beside the older API", "newer", "older", false],
  ["both versions of both Workers", "newer", "newer", true],
];

/** Addresses of reports, which a version from before USAGE_DB cannot answer: its tables are gone. */
const REPORTS = /usage|stats|dashboard|notifications/;

/** The Workers of a system, and how they are asked. `lacksUsage` names the versions from before USAGE_DB. */
function reach(system, mix, lacksUsage) {
  const [, gateway, api, isBoth] = mix;
  const other = system.versions.other;
  const gateways = [[gateway, system.urls.gateway], ...(isBoth ? [["older", other.gateway]] : [])];
  const apis = [[api, system.urls.api], ...(isBoth ? [["older", other.api]] : [])];
  const ask = async (api, method, where, body, headers = {}) => {
    const response = await fetch(api + where, {
      method,
      headers: { authorization: `Bearer ${system.jwt()}`, "content-type": "application/json", ...headers },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    return {
      status: response.status,
      etag: response.headers.get("etag"),
      body: /json/.test(response.headers.get("content-type")) && text ? JSON.parse(text) : text,
    };
  };
  const made = async (api, where, body) => {
    const { status, body: answer } = await ask(api, "POST", where, body);
    assert.ok(status === 201 || status === 202, `${where}: ${status} ${JSON.stringify(answer)}`);
    return answer;
  };
  const calls = new Map();
  const call = async (gateway, token, where, { method = "GET", body = undefined } = {}) => {
    calls.set(token.id, (calls.get(token.id) ?? 0) + 1);
    const response = await fetch(gateway + where, {
      method,
      body,
      headers: { "x-api-key": token.token, ...(body && { "content-type": "application/json" }) },
    });
    return { status: response.status, text: await response.text() };
  };
  const cron = (version) => system.cron(version === api ? undefined : "other");
  return { gateways, apis, ask, made, call, calls, cron, lacksUsage };
}

/** The gateway of either version serves what the API of either version creates. */
async function serves(system, { gateways, apis, made, call, ask, cron, lacksUsage }) {
  const found = [];
  for (const [version, api] of apis) {
    const base = `/api/v-${version}`;
    const plain = await made(api, "/api/routes", {
      name: "Plain",
      path: `${base}/plain`,
      backend_url: `${system.upstream.url}/echo`,
      credential: { kind: "bearer", token: KEY_OF_VENDOR },
    });
    const ai = await made(api, "/api/routes", {
      name: "AI",
      path: `${base}/ai`,
      backend_url: `${system.upstream.url}/v1`,
      settings: { ai: { provider: "openai", include_usage: true } },
    });
    assert.equal(
      (await ask(api, "PUT", "/api/prices/demo-1", { prompt: 1_000_000, completion: 2_000_000 })).status <
        300,
      true,
      "the price",
    );
    const bearer = (token) => ({ kind: "bearer", token });
    const pool = { name: "Pool", path: `${base}/pool`, backend_url: `${system.upstream.url}/echo` };
    // The lists of an API from before stored values were read leniently fail at a kind that it does not know.
    const hasPool = version === "newer" && !lacksUsage.includes("older");
    if (hasPool) {
      await made(api, "/api/routes", {
        ...pool,
        credential: {
          kind: "pool",
          members: [
            { name: "first", credential: bearer(`first-${KEY_OF_VENDOR}`) },
            { name: "second", credential: bearer("second") },
          ],
        },
      });
    }
    const role = { name: "Role", path: `${base}/role`, backend_url: `${aws.url}/s3` };
    const knowsRoles = (version) => version === "newer" || !lacksUsage.includes(version);
    const withRole = { ...role, credential: aws.assuming("s3") };
    if (knowsRoles(version)) await made(api, "/api/routes", withRole);
    else assert.equal((await ask(api, "POST", "/api/routes", withRole)).status, 422, "no role is left out");
    const team = await made(api, "/api/teams", {
      id: `capped-${version}`,
      name: `Capped ${version}`,
      scope_cap: [`v-${version}`],
    });
    const token = (more) =>
      made(api, "/api/tokens", { name: "t", team_id: "automation", scopes: ["*"], ...more });
    const good = await token({
      limits: {
        calls_per_minute: 1_000,
        concurrent_calls: 50,
        cost_micros_per_month: 1_000_000,
        ai_tokens_per_day: 1_000_000,
      },
    });
    const capped = await token({ team_id: team.id, scopes: [`v-${version}`, `${base}/plain/*`] });
    const two = await token({ limits: { calls_per_minute: 2 } });
    const [revoked, disabled] = [await token(), await token()];
    for (const [of, gateway] of gateways) {
      const at = `the ${of} gateway, made by the ${version} API`;
      const ok = async (token, where, init) => {
        const answer = await call(gateway, token, where, init);
        assert.equal(answer.status, 200, `${at}: ${where} ${answer.status} ${answer.text}`);
        return answer.text;
      };
      const isServed = async (route, token) =>
        !/route-not-found|invalid-api-key/.test((await call(gateway, token, route.path)).text);
      await eventually(
        async () => {
          if ((await isServed(plain, good)) && (await isServed(ai, good))) return true;
          // The API's own cron repeats a write that KV refused at first.
          await cron(version);
          return sleep(500);
        },
        30_000,
        `${at}: the first calls`,
      );
      assert.match(await ok(good, `${base}/plain`), new RegExp(KEY_OF_VENDOR), `${at}: the credential`);
      if (hasPool)
        assert.match(
          await ok(good, pool.path),
          new RegExp(`first-${KEY_OF_VENDOR}`),
          `${at}: a pool's first`,
        );
      if (knowsRoles(version)) {
        const isRefused = (text) => text.includes("upstream-credential-unavailable");
        await eventually(
          async () => {
            const { status, text } = await call(gateway, good, role.path);
            return knowsRoles(of) ? status === 200 : isRefused(text);
          },
          20_000,
          `${at}: a role`,
        );
        assert.equal(aws.refused.length, 0, `${at}: nothing is signed with the keys themselves`);
      }
      assert.equal(
        JSON.parse(
          await ok(good, `${base}/ai/chat/completions`, {
            method: "POST",
            body: `{"model":"demo-1","max_tokens":6}`,
          }),
        ).usage.prompt_tokens,
        9,
        at,
      );
      await ok(capped, `${base}/plain/x`);
      assert.equal((await call(gateway, capped, "/api/elsewhere")).status, 404, at);
      for (const held of [revoked, disabled]) await ok(held, `${base}/plain`);
    }
    const limited = [];
    for (let i = 0; i < 4; i += 1)
      limited.push((await call(gateways[i % gateways.length][1], two, `${base}/plain`)).status);
    assert.deepEqual(limited, [200, 200, 429, 429], `limits by the ${version} API`);
    assert.equal(
      (await ask(api, "GET", `/api/tokens/${good.id}/limits`)).status,
      200,
      "the use of the limits",
    );
    // A gateway from before the change feed has none, so that changes stay pending for it, though KV has them.
    for (const [method, where] of [
      ["DELETE", `/api/tokens/${revoked.id}`],
      ["POST", `/api/tokens/${disabled.id}/disable`],
    ])
      assert.ok([200, 202].includes((await ask(api, method, where)).status), where);
    found.push({ version, api, base, plain, ai, good, capped, two, revoked, disabled, team });
  }
  return found;
}

async function refuses(found, { gateways, call }) {
  for (const { base, revoked, disabled, version } of found) {
    for (const [of, gateway] of gateways) {
      for (const token of [revoked, disabled]) {
        await eventually(
          async () => (await call(gateway, token, `${base}/plain`)).status === 401,
          45_000,
          `the ${of} gateway's refusal of a token that the ${version} API revoked or disabled`,
        );
      }
    }
  }
}

/** Every GET that the document of an API lists. */
async function readsAll(system, found, { apis, ask, made, lacksUsage }) {
  const [{ good, plain, team }] = found;
  for (const [version, api] of apis) {
    const { paths } = (await ask(api, "GET", "/openapi.json")).body;
    const addresses = Object.entries(paths)
      .filter(([, { get }]) => get)
      .map(([where]) => where);
    assert.ok(addresses.length > 25, addresses.join());
    const roles = [{ team_id: "automation", role: "VIEWER" }];
    const key = paths["/api/keys"] && (await made(api, "/api/keys", { name: "reader", roles }));
    const target = { kind: "slack", url: `${system.upstream.url}/echo` };
    const channel =
      paths["/api/channels"] &&
      (await made(api, "/api/channels", { name: "reader", target, events: ["token-ends"] }));
    const ids = { token: good.id, route: plain.id, team: team.id, key: key?.id, channel: channel?.id };
    for (const pattern of addresses) {
      const where = pattern.replace(/\{[^}]+\}/g, () => ids[/token|route|team|key|channel/.exec(pattern)[0]]);
      const asked = { route_path: plain.path, token_id: good.id, team_id: team.id };
      const query = (paths[pattern].get.parameters ?? [])
        .filter((one) => one.in === "query" && one.required)
        .map(({ name }) => `${name}=${asked[name]}`);
      const { status, body } = await ask(
        api,
        "GET",
        query.length > 0 ? `${where}?${query.join("&")}` : where,
        undefined,
        { "x-api-key": good.token },
      ).catch((error) => ({ status: 0, body: String(error.cause ?? error) }));
      // A file breaks off.
      const isLost = lacksUsage.includes(version) && REPORTS.test(pattern) && (status >= 500 || status === 0);
      assert.ok(
        status === 200 || isLost,
        `the ${version} API: GET ${where}: ${status} ${JSON.stringify(body).slice(0, 300)}`,
      );
    }
    const listed = (await ask(api, "GET", "/api/tokens?limit=100")).body.items.map(({ id }) => id);
    for (const { good, capped } of found)
      assert.ok(listed.includes(good.id) && listed.includes(capped.id), `the ${version} API lists all`);
  }
}

/** Each call is counted once, for any pair of sending gateway and storing consumer. */
async function counts(system, found, { apis, calls, lacksUsage }) {
  // The first API is the consumer. One from before USAGE_DB leaves the events in the queue.
  if (lacksUsage.includes(apis[0][0])) return;
  const stored = (id) => system.usage.calls({ token: id });
  for (const { good, capped, two, revoked } of found) {
    for (const token of [good, capped, two, revoked]) {
      await eventually(
        async () => (await stored(token.id)) >= calls.get(token.id),
        20_000,
        `the ${calls.get(token.id)} events of a token`,
      ).catch(async (error) => assert.fail(`${error.message}: ${await stored(token.id)}`));
      assert.equal(await stored(token.id), calls.get(token.id));
    }
    const events = await system.usage.events({ token_id: good.id });
    const [prompt, cost] = ["prompt_tokens", "cost_micros"].map((name) =>
      events.reduce((sum, event) => sum + event[name], 0),
    );
    assert.ok(prompt >= 9 && cost > 0, `${prompt} tokens, ${cost} micro-dollars`);
  }
}

/** Uses values of the next version: stored by a request to its API, or left by it before its rollback. */
async function usesNews(system, around, found) {
  const { apis, gateways, ask, made, call } = around;
  const newer = apis.find(([version]) => version === "newer");
  const api = (newer ?? apis[0])[1];
  const route = async (path, news) => {
    const body = { name: path, path, backend_url: `${system.upstream.url}/echo` };
    if (newer) return made(api, "/api/routes", { ...body, settings: news });
    const route = await made(api, "/api/routes", body);
    const stored = JSON.stringify("readers" in news ? { ...news, critical: ["readers"] } : news);
    await system.db
      .prepare("UPDATE routes SET settings = ?2, version = version + 1 WHERE id = ?1")
      .bind(route.id, stored)
      .run();
    return route;
  };
  const limits = { calls_per_minute: 900, calls_per_fortnight: 9_000 };
  const token = await made(api, "/api/tokens", {
    name: "news",
    team_id: "automation",
    scopes: ["*"],
    limits: newer ? limits : { calls_per_minute: 900 },
  });
  if (!newer)
    await system.db
      .prepare("UPDATE tokens SET limits = ?2, version = version + 1 WHERE id = ?1")
      .bind(token.id, JSON.stringify(limits))
      .run();
  const mirror = await route("/api/news/mirror", { mirror: "elsewhere" });
  await route("/api/news/readers", { readers: "some" });
  for (const [version, older] of apis.filter(([version]) => version === "older")) {
    const refused = await ask(older, "POST", "/api/tokens", {
      name: "x",
      team_id: "automation",
      scopes: ["*"],
      limits,
    });
    assert.deepEqual(
      [refused.status, refused.body.details?.map(({ field }) => field)],
      [422, ["limits.calls_per_fortnight"]],
      "a request may hold only what this version knows",
    );
    // It edits values that it knows only in part, and loses nothing.
    for (const [where, change] of [
      [`/api/tokens/${token.id}`, { name: "edited", limits: { calls_per_minute: 800 } }],
      [`/api/routes/${mirror.id}`, { name: "edited" }],
    ]) {
      const { status, body } = await ask(older, "PUT", where, change);
      assert.ok(
        status === 200 || status === 202,
        `the ${version} API: PUT ${where}: ${status} ${JSON.stringify(body)}`,
      );
    }
  }
  const one = (text, id) => system.db.prepare(text).bind(id).first("value");
  const stored = JSON.parse(await one("SELECT limits AS value FROM tokens WHERE id = ?1", token.id));
  assert.equal(stored.calls_per_fortnight, 9_000, "an edit keeps the limit");
  assert.deepEqual(JSON.parse(await one("SELECT settings AS value FROM routes WHERE id = ?1", mirror.id)), {
    mirror: "elsewhere",
  });
  for (const [version, gateway] of gateways) {
    const status = async (where) => (await call(gateway, token, where)).status;
    await eventually(
      async () => (await status("/api/news/mirror")) === 200,
      20_000,
      `the ${version} gateway's call with a new limit and a new setting`,
    );
    const readers = await status("/api/news/readers");
    if (version === "newer") assert.equal(readers, 200, "the newer gateway obeys critical fields");
    else assert.notEqual(readers, 200, "the older gateway refuses unknown critical fields");
    for (const { good, base } of found)
      assert.equal((await call(gateway, good, `${base}/plain`)).status, 200, "no other call fails");
  }
  return { good: token, capped: token, two: token, revoked: token };
}

for (const [pair, olderOf, newerOf, hasNews, lacksUsage] of /** @type {any[][]} */ ([
  ["the version before and the current one", buildPrevious, () => buildHere(HERE), false, ["older"]],
  ["the current version and the next", () => buildHere(HERE), buildNext, true, []],
])) {
  describe(pair, { timeout: 900_000 }, () => {
    const folders = {};
    before(async () => {
      folders.older = await olderOf();
      if (folders.older) folders.newer = await newerOf();
    });
    for (const mix of MIXES) {
      const [name, gateway, api, isBoth] = mix;
      test(`${name}: calls, limits, refusals, lists and usage are as with one version`, async (t) => {
        if (!folders.older)
          return t.skip(`this clone is shallow and lacks ${PREVIOUS}; nothing is fetched for a test`);
        const both = (version) => ({ gateway: folders[version], "admin-api": folders[version] });
        const system = await startOnSockets({
          builds: { gateway: folders[gateway], "admin-api": folders[api] },
          versions: isBoth ? [{ name: "other", builds: both("older") }] : [],
          // The previous version wrote a key of KV twice within a second, and its cron wrote it again.
          expected: hasNews ? [] : ["kv_writes_a_second"],
        });
        try {
          const around = reach(system, mix, lacksUsage);
          const found = await serves(system, around);
          if (hasNews) await usesNews(system, around, found);
          for (const [version] of around.apis) await around.cron(version);
          await refuses(found, around);
          await counts(system, found, around);
          await readsAll(system, found, around);
        } catch (error) {
          await system.stop().catch(() => {});
          throw error;
        }
        await system.stop();
      });
    }
  });
}
