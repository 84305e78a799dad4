// docs/n8n.md and its workflows.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { root } from "../../scripts/setup.mjs";
import { Webhook } from "standardwebhooks";
import { listen } from "../../local/listen.mjs";
import { as, putRoutes, putToken, startOnSockets } from "../support/harness.mjs";
import { SECRET } from "../support/receivers.mjs";

const text = (file) => readFileSync(path.join(root, file), "utf8");
const [workflow, deriving, rotating] = ["demo", "derive", "rotate"].map((name) =>
  JSON.parse(text(`docs/n8n/token-manager-${name}.json`)),
);
const node = (name, of = workflow) => of.nodes.find((one) => one.name === name);

/** The expressions of a node, each a function of its inputs in n8n. */
function evaluate(expression, { json = undefined, settings, runIndex = 0 }) {
  const of = (name) => ({ first: () => ({ json: { Settings: settings }[name] }) });
  const value = (code) => Function("$json", "$", "$runIndex", `return (${code});`)(json, of, runIndex);
  const whole = expression.match(/^=\{\{(.*)\}\}$/s);
  if (whole && !whole[1].includes("{{")) return value(whole[1]);
  return expression.replace(/^=/, "").replace(/\{\{(.*?)\}\}/gs, (_, code) => value(code));
}

const published = JSON.parse(text("tests/support/n8n-http-request.json"));

test("the workflow is complete: known nodes, connections between existing nodes, no token", () => {
  const names = workflow.nodes.map((one) => one.name);
  assert.equal(new Set(names).size, names.length);
  for (const [from, { main }] of Object.entries(workflow.connections)) {
    assert.ok(names.includes(from), from);
    for (const target of main.flat()) assert.ok(names.includes(target.node), target.node);
  }
  const reached = new Set(
    Object.values(workflow.connections).flatMap(({ main }) => main.flat().map((target) => target.node)),
  );
  assert.deepEqual(
    names.filter((name) => !reached.has(name)),
    ["Start"],
  );
  for (const name of Object.keys(node("Call").parameters))
    assert.ok(published.parameters.includes(name), name);
  assert.ok(published.versions.includes(node("Call").typeVersion));
  const { redirect } = node("Call").parameters.options;
  assert.equal(redirect.redirect.followRedirects, false, "n8n sends the token along to another host");
  const { includeOtherFields, options } = node("Result").parameters;
  assert.deepEqual(
    [includeOtherFields, options.stripBinary],
    [true, false],
    "n8n drops a file that the call fetched",
  );
  assert.doesNotMatch(JSON.stringify(workflow), /ntk_|X-API-Key/);
  assert.deepEqual(workflow.pinData, {});
});

test("each response of the gateway takes its branch: done, wait as long as told, or stop and tell", async () => {
  const system = await startOnSockets();
  try {
    await putRoutes(system, [
      ["/api/demo", "/echo"],
      ["/api/status", "/status"],
      ["/api/dead", "http://127.0.0.1:9"],
      ["/api/text", "/gzip"],
    ]);
    const settings = Object.fromEntries(
      node("Settings").parameters.assignments.assignments.map(({ name, value }) => [name, value]),
    );
    const rules = node("What came back").parameters.rules.values;
    const holds = ({ leftValue, rightValue, operator }, context) => {
      const left = evaluate(leftValue, context);
      assert.equal(typeof left, operator.type, leftValue);
      return operator.operation === "lt" ? left < rightValue : left === true;
    };
    const branch = (context) =>
      rules.find((rule) => rule.conditions.conditions.every((one) => holds(one, context)))?.outputKey ??
      "stop";
    const url = (where) =>
      evaluate(node("Call").parameters.url, {
        settings: { ...settings, gateway: system.urls.gateway, path: where },
      });
    const call = async (where, token, runIndex) => {
      const response = await fetch(url(where), { headers: { "x-api-key": token } });
      const body = await response.text();
      // Like the HTTP Request node: a response that is not JSON becomes `data`, and there is no `body`.
      const isJson = response.headers.get("content-type")?.includes("application/json");
      const json = {
        statusCode: response.status,
        headers: Object.fromEntries(response.headers),
        ...(isJson ? { body: JSON.parse(body) } : { data: body }),
      };
      const context = { json, settings, runIndex };
      return { context, json, to: branch(context) };
    };
    const token = await putToken(system);
    const done = await call("/api/demo/hello", token);
    assert.equal(done.to, "done");
    assert.equal(
      JSON.parse(evaluate(node("Result").parameters.jsonOutput, done.context)).request_id,
      done.json.headers["x-request-id"],
    );

    const plain = await call("/api/text", token);
    assert.equal(plain.to, "done");
    assert.match(
      JSON.parse(evaluate(node("Result").parameters.jsonOutput, plain.context)).answer,
      /^squeezed /,
    );
    const page = { json: { ...plain.json, statusCode: 500 }, settings };
    assert.match(
      evaluate(node("Stop and tell").parameters.errorMessage, page),
      /^500 from the upstream: squeezed /,
    );

    const narrow = await putToken(system, { scopes: ["nothing"] });
    const refused = await call("/api/demo/hello", narrow);
    assert.equal(refused.to, "stop");
    assert.match(
      evaluate(node("Stop and tell").parameters.errorMessage, refused.context),
      /^403 permission-denied: .+ \(request [\w-]{8,}\)$/,
    );
    assert.equal((await call("/api/demo/hello", "ntk_nobody")).to, "stop");

    const limited = await putToken(system, { limits: { calls_per_minute: 1 } });
    assert.equal((await call("/api/demo/hello", limited)).to, "done");
    /** @type {any} */
    const again = await call("/api/demo/hello", limited);
    assert.deepEqual(
      [again.json.statusCode, again.json.body.code, again.to],
      [429, "rate-limit-exceeded", "wait"],
    );
    const seconds = evaluate(node("Wait as told").parameters.amount, again.context);
    assert.ok(seconds >= 1 && seconds <= 65, `${seconds} s`);
    assert.equal(
      (await call("/api/demo/hello", limited, settings.tries - 1)).to,
      "stop",
      "it tries without end",
    );
    const monthly = await putToken(system, { limits: { calls_per_month: 1 } });
    await call("/api/demo/hello", monthly);
    const used = await call("/api/demo/hello", monthly);
    const left = Number(used.json.headers["retry-after"]);
    assert.equal(used.to, left <= settings.longest_wait_s ? "wait" : "stop");

    assert.equal((await call("/api/dead", token)).to, "wait");
    const broken = await call("/api/status/500", token);
    assert.deepEqual([broken.json.statusCode, broken.to], [500, "stop"]);
    assert.match(
      evaluate(node("Stop and tell").parameters.errorMessage, broken.context),
      /^500 from the upstream: /,
    );

    const [line] = text("docs/n8n.md").match(/^curl .*$/m);
    const { stdout } = await promisify(execFile)(
      "sh",
      ["-c", line.replace("http://localhost:8787", system.urls.gateway)],
      { env: { ...process.env, TOKEN: token } },
    );
    assert.match(stdout, /\/echo\/hello/);
  } finally {
    await system.stop();
  }
});

test("one HTTP Request node derives a token, and the next one makes a call with it", async () => {
  const [derive, use] = ["Derive a token", "Use it"].map((name) => node(name, deriving));
  for (const { parameters, typeVersion } of [derive, use]) {
    for (const name of Object.keys(parameters)) assert.ok(published.parameters.includes(name), name);
    assert.ok(published.versions.includes(typeVersion));
    assert.equal(parameters.options.redirect.redirect.followRedirects, false);
  }
  assert.doesNotMatch(JSON.stringify(deriving), /ntk_|ntd_|X-API-Key/);
  const system = await startOnSockets();
  try {
    await putRoutes(system, [["/api/demo", "/echo"]]);
    const token = await putToken(system, { may_derive: true });
    const settings = {
      ...Object.fromEntries(
        node("Settings", deriving).parameters.assignments.assignments.map(({ name, value }) => [name, value]),
      ),
      gateway: system.urls.gateway,
    };
    // What the node sends: its parameters as a form, and the header of its Header Auth credential.
    const pairs = ({ parameters }, json) =>
      parameters.map(({ name, value }) => [name, String(evaluate(value, { json, settings }))]);
    const { method, url, contentType, bodyParameters } = derive.parameters;
    assert.equal(contentType, "form-urlencoded");
    const derived = await fetch(evaluate(url, { settings }), {
      method,
      headers: { "x-api-key": token },
      body: new URLSearchParams(pairs(bodyParameters)),
    });
    const json = await derived.json();
    assert.deepEqual([derived.status, json.scope, json.expires_in], [200, "GET:/api/demo/*", 600]);
    const headers = Object.fromEntries(pairs(use.parameters.headerParameters, json));
    const called = await fetch(evaluate(use.parameters.url, { settings }), { headers });
    assert.deepEqual([called.status, (await called.json()).path], [200, "/echo/hello"]);
    const elsewhere = await fetch(`${system.urls.gateway}/api/demo/x`, { method: "DELETE", headers });
    assert.equal(elsewhere.status, 403);

    const [line] = text("docs/n8n.md").match(/^curl .*\/token .*$/m);
    const { stdout } = await promisify(execFile)(
      "sh",
      ["-c", line.replace("http://localhost:8787", system.urls.gateway)],
      { env: { ...process.env, TOKEN: token } },
    );
    assert.match(JSON.parse(stdout).access_token, /^ntd_/);
  } finally {
    await system.stop();
  }
});

test("a token is rotated with a key, and written where the other workflow reads it", async () => {
  const [rotate, write] = ["Rotate the token", "Write it into the credential"].map((name) =>
    node(name, rotating),
  );
  for (const { parameters, typeVersion } of [rotate, write]) {
    for (const name of Object.keys(parameters)) assert.ok(published.parameters.includes(name), name);
    assert.ok(published.versions.includes(typeVersion) && published.method.includes(parameters.method));
    assert.equal(parameters.options.redirect.redirect.followRedirects, false);
  }
  assert.ok(!rotate.retryOnFail, "each try would make another secret");
  assert.equal(rotating.settings.saveDataSuccessExecution, "none", "executions would hold the token");
  assert.doesNotMatch(JSON.stringify(rotating), /ntk_|nak_/);
  const system = await startOnSockets();
  // n8n's credential, and the part of its API that is called, as its OpenAPI document describes it.
  const credential = { name: "X-API-Key", value: "" };
  const n8n = createServer(async (request, response) => {
    const { isPartialData, data, ...others } = JSON.parse(Buffer.concat(await request.toArray()).toString());
    const isRight =
      request.method === "PATCH" &&
      request.url === "/api/v1/credentials/TokenManagerToken" &&
      request.headers["x-n8n-api-key"] === "n8n" &&
      isPartialData === true &&
      Object.keys(others).length === 0;
    if (isRight) Object.assign(credential, data);
    response.writeHead(isRight ? 200 : 400, { "content-type": "application/json" }).end("{}");
  });
  try {
    await as(system, "admin", "POST", "/api/routes", {
      name: "Echo",
      path: "/api/demo",
      backend_url: `${system.upstream.url}/echo`,
    });
    const made = (
      await as(system, "developer", "POST", "/api/tokens", {
        name: "t",
        team_id: "automation",
        scopes: ["GET /api/demo/*"],
      })
    ).body;
    credential.value = made.token;
    const { key } = (
      await as(system, "developer", "POST", "/api/keys", {
        name: "Rotation",
        roles: [{ team_id: "automation", role: "DEVELOPER" }],
      })
    ).body;
    await new Promise((resolve) => n8n.listen(0, "127.0.0.1", () => resolve(undefined)));
    const settings = {
      ...Object.fromEntries(
        node("Settings", rotating).parameters.assignments.assignments.map(({ name, value }) => [name, value]),
      ),
      api: system.urls.api,
      token_id: made.id,
      n8n: `http://127.0.0.1:${/** @type {any} */ (n8n.address()).port}`,
    };
    const send = async ({ parameters: { method, url, specifyBody, jsonBody } }, auth, json = undefined) => {
      assert.equal(specifyBody, "json");
      const response = await fetch(evaluate(url, { settings }), {
        method,
        headers: { "content-type": "application/json", ...auth },
        body: evaluate(jsonBody, { json, settings }),
      });
      assert.ok(response.ok, `${method} ${response.status}`);
      return response.json();
    };
    const works = async (token) =>
      (await fetch(`${system.urls.gateway}/api/demo/x`, { headers: { "x-api-key": token } })).status;
    for (let night = 1; night <= 3; night++) {
      const before = credential.value;
      const rotated = await send(rotate, { authorization: `Bearer ${key}` });
      await send(write, { "x-n8n-api-key": "n8n" }, rotated);
      assert.deepEqual([credential.name, credential.value === before], ["X-API-Key", false]);
      assert.equal(await works(credential.value), 200, "the other workflow's next execution");
      assert.equal(await works(before), 200, "an execution under way");
    }
    const { items } = (await as(system, "developer", "GET", `/api/tokens/${made.id}/secrets`)).body;
    const hours = items.slice(1).map(({ ends_at }) => (ends_at - Date.now()) / 3_600_000);
    assert.ok(
      hours.every((left) => left > 47 && left <= 48),
      `${hours}`,
    );
  } finally {
    n8n.close();
    await system.stop();
  }
});

test("the Webhook node's workflow takes a signed alert and refuses any other", async () => {
  const receiving = JSON.parse(text("docs/n8n/token-manager-alerts.json"));
  assert.equal(node("Alert", receiving).parameters.options.rawBody, true);
  const { jsCode } = node("Verify", receiving).parameters;
  assert.match(jsCode, /^const secret = 'whsec_';$/m, "the workflow holds no secret");
  const [line] = text("docs/alerts.md").match(/\[token-manager-alerts\.json\]\([^)]+\)/);
  assert.equal(line, "[token-manager-alerts.json](n8n/token-manager-alerts.json)");
  /** What the Code node gives for a request, with a secret entered. */
  const verify = (secret, headers, body) => {
    const code = jsCode.replace("const secret = 'whsec_';", `const secret = '${secret}';`);
    const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;
    const helpers = { getBinaryDataBuffer: async () => Buffer.from(body) };
    return new AsyncFunction("$input", code).call({ helpers }, { first: () => ({ json: { headers } }) });
  };
  const requests = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    requests.push([request.headers, body]);
    response.end();
  });
  const url = `http://127.0.0.1:${await listen(server)}/webhook/token-manager-alerts`;
  const system = await startOnSockets();
  try {
    const target = { kind: "webhook", url, secret: SECRET };
    const made = await as(system, "admin", "POST", "/api/channels", {
      name: "n8n 收件匣",
      target,
      events: ["budget"],
    });
    assert.equal(made.status, 201);
    await as(system, "admin", "POST", `/api/channels/${made.body.id}/test`);
    const [[headers, body]] = requests;
    const [{ json }] = await verify(SECRET, headers, body);
    assert.deepEqual(
      [json.type, json.text, json.id],
      ["test", "This is a test of the channel “n8n 收件匣”.", headers["webhook-id"]],
    );
    const other = `whsec_${Buffer.alloc(32, 8).toString("base64")}`;
    for (const [secret, changed, text] of [
      [SECRET, headers, body.replace("test", "tset")],
      [SECRET, { ...headers, "webhook-id": "msg_other" }, body],
      [SECRET, { ...headers, "webhook-signature": undefined }, body],
      [other, headers, body],
      ["whsec_", headers, body],
    ])
      await assert.rejects(verify(secret, changed, text), /The signature does not match/);
    const old = { ...headers, "webhook-timestamp": String(headers["webhook-timestamp"] - 400) };
    old["webhook-signature"] = new Webhook(SECRET).sign(
      old["webhook-id"],
      new Date(old["webhook-timestamp"] * 1000),
      body,
    );
    await assert.rejects(verify(SECRET, old, body), /too old/);
  } finally {
    await system.stop();
    server.close();
  }
});

test("every code that the document names is one of the gateway's", () => {
  const codes = new Set(
    [...text("docs/gateway.md").matchAll(/`([a-z]+(?:-[a-z]+)+)`/g)].map(([, code]) => code),
  );
  const table = text("docs/n8n.md")
    .split("\n")
    .filter((line) => line.startsWith("| `") && !line.includes("ntk_"));
  const named = table
    .flatMap((line) => [...line.split("|")[1].matchAll(/`([^`]+)`/g)].map(([, code]) => code))
    .filter((code) => code !== "code");
  assert.ok(named.length > 12);
  assert.deepEqual(
    named.filter((code) => !codes.has(code)),
    [],
  );
});
