// `npm run deploy`, with the real wrangler, against a stand-in for Cloudflare's API.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { root } from "../../scripts/setup.mjs";
import { fingerprints } from "../../scripts/ops/keys/fingerprint.mjs";
import { missingSecrets, newKey } from "../../scripts/ops/keys/secrets.mjs";
import { create, existing, lacksObjects } from "../../scripts/ops/stage/account.mjs";
import { plan as planOf } from "../../scripts/ops/stage/stage.mjs";
import { ACCOUNT, startCloudflare } from "../support/cloudflare.mjs";

const STAGE = "trial";
const PUBLISHABLE = `pk_test_${Buffer.from("clerk.example.com$").toString("base64")}`;
const files = {
  config: `wrangler.${STAGE}.json`,
  settings: `stages/${STAGE}.json`,
  vault: `.secrets/${STAGE}.env`,
};
const at = (name) => path.join(root, files[name]);
const read = (name) => JSON.parse(readFileSync(at(name), "utf8"));
const clean = () => Object.keys(files).forEach((name) => rmSync(at(name), { force: true }));

let cloudflare;
before(async () => {
  clean();
  cloudflare = await startCloudflare();
});
after(async () => {
  clean();
  await cloudflare?.close();
});

const deploy = (args, env = {}) =>
  new Promise((resolve) => {
    const all = [
      path.join(root, "scripts/ops/deploy.mjs"),
      "--stage",
      STAGE,
      "--yes",
      "--skip-check",
      ...args,
    ];
    execFile(
      process.execPath,
      all,
      { cwd: root, env: { ...process.env, ...cloudflare.env, ...env } },
      (error, stdout, stderr) => resolve({ code: error?.code ?? 0, text: stdout + stderr }),
    );
  });
const worker = (name) => cloudflare.account.workers.get(`token-manager-${name}-${STAGE}`);
const vars = (name) =>
  Object.fromEntries(
    worker(name)
      .bindings.filter(({ type }) => type === "plain_text")
      .map(({ name, text }) => [name, text]),
  );
const decided = [
  "--clerk-publishable-key",
  PUBLISHABLE,
  "--admin",
  "admin@example.com",
  "--api",
  "https://tapi.example.com",
];

test("a dry run prints the whole plan and changes nothing", async () => {
  const { code, text } = await deploy(["--dry-run"]);
  assert.equal(code, 0, text);
  for (const part of [
    /create KV namespace token-manager-tokens-trial/,
    /create D1 database token-manager-trial/,
    /create D1 database token-manager-usage-trial/,
    /create queue token-manager-usage-dlq-trial/,
    /apply the migrations of token-manager-trial/,
    /apply the migrations of token-manager-usage-trial/,
    /deploy token-manager-gateway-trial .*CREDENTIAL_KEY/,
    /Total Upload: .* gzip: \d+/,
    /deploy the UI/,
    /Nothing was changed/,
  ])
    assert.match(text, part);
  assert.deepEqual(cloudflare.changes, []);
  assert.deepEqual(
    Object.values(files).filter((file) => existsSync(path.join(root, file))),
    [],
  );
});

test("each value that the operator must decide is asked for by name", async () => {
  const nobody = await deploy(["--clerk-publishable-key", PUBLISHABLE]);
  assert.deepEqual(
    [nobody.code, /Nobody would be platform admin: --admin/.test(nobody.text)],
    [1, true],
    nobody.text,
  );
  const wrong = await deploy([
    "--clerk-publishable-key",
    PUBLISHABLE,
    "--admin",
    "a@example.com",
    "--gateway",
    "http://x",
  ]);
  assert.match(wrong.text, /gateway: http:\/\/x is neither https:\/\/host nor workers\.dev/);
  const home = mkdtempSync(path.join(tmpdir(), "nobody-"));
  const signedOut = await deploy(decided, {
    CLOUDFLARE_API_TOKEN: "",
    HOME: home,
    XDG_CONFIG_HOME: home,
    CARGO_HOME: process.env.CARGO_HOME ?? path.join(process.env.HOME, ".cargo"),
    RUSTUP_HOME: process.env.RUSTUP_HOME ?? path.join(process.env.HOME, ".rustup"),
  });
  rmSync(home, { recursive: true, force: true });
  assert.match(signedOut.text, /Nobody is signed in to Cloudflare: npx wrangler login/);
  assert.deepEqual(cloudflare.changes, []);
});

test("a first deployment that breaks off continues where it stopped, with the keys that it made", async () => {
  cloudflare.refuse(/PUT \/workers\/scripts\/token-manager-admin-api/);
  const broken = await deploy(decided);
  assert.equal(broken.code, 1, broken.text);
  assert.match(broken.text, /wrangler deploy --env admin-api .* ended with 1/);
  assert.match(broken.text, /npm run deploy goes on from here/);
  const key = worker("gateway").secrets.get("CREDENTIAL_KEY");
  assert.match(key, /^[A-Za-z0-9+/]{43}=$/);
  assert.doesNotMatch(broken.text, new RegExp(key.replace(/[+/]/g, "\\$&")), "a key was printed");

  cloudflare.refuse(null);
  const done = await deploy(decided, { CLERK_SECRET_KEY: "sk_test_x" });
  assert.equal(done.code, 0, done.text);
  assert.deepEqual(cloudflare.unknown, []);
  for (const name of ["TOKEN_CHECK_KEY", "CREDENTIAL_KEY", "DERIVE_KEY"])
    assert.equal(worker("gateway").secrets.get(name), worker("admin-api").secrets.get(name), name);
  assert.equal(worker("gateway").secrets.get("CREDENTIAL_KEY"), key);
  assert.deepEqual([...worker("admin-api").secrets.keys()].sort(), [
    "CLERK_SECRET_KEY",
    "CREDENTIAL_KEY",
    "DERIVE_KEY",
    "TOKEN_CHECK_KEY",
    "USAGE_LOG_KEY",
  ]);
});

test("both Workers have what they need and no more, and the UI knows where they are", () => {
  const { account } = cloudflare;
  const kv = account.namespaces[0].id;
  const bindings = (name) =>
    worker(name)
      .bindings.filter(({ type }) => type !== "plain_text")
      .map(({ name, type }) => `${name} ${type}`)
      .sort();
  assert.deepEqual(bindings("gateway"), [
    "FEED durable_object_namespace",
    "LIMITER durable_object_namespace",
    "TOKENS kv_namespace",
    "USAGE queue",
  ]);
  assert.deepEqual(bindings("admin-api"), [
    "DB d1",
    "FEED durable_object_namespace",
    "GATEWAY service",
    "LIMITER durable_object_namespace",
    "PEOPLE_RATE ratelimit",
    "PUBLISH queue",
    "TOKENS kv_namespace",
    "TOKEN_RATE ratelimit",
    "USAGE queue",
    "USAGE_DB d1",
    "USAGE_DLQ queue",
  ]);
  for (const name of ["gateway", "admin-api"])
    assert.equal(worker(name).bindings.find(({ name }) => name === "TOKENS").namespace_id, kv);
  const { service } = worker("admin-api").bindings.find(({ name }) => name === "GATEWAY");
  assert.equal(service, `token-manager-gateway-${STAGE}`);
  assert.deepEqual(worker("admin-api").domains, ["tapi.example.com"]);
  assert.deepEqual(worker("admin-api").schedules, ["* * * * *"]);
  assert.equal(vars("admin-api").ALLOWED_ORIGINS, `https://token-manager-${STAGE}.pages.dev`);
  assert.equal(vars("admin-api").CLERK_ISSUER, "https://clerk.example.com");
  assert.equal(vars("admin-api").BOOTSTRAP_ADMINS, "admin@example.com");
  const [usage, dead] = account.queues;
  assert.deepEqual(
    [usage.consumers.length, usage.consumers[0].dead_letter_queue, dead.consumers.length],
    [1, dead.queue_name, 0],
  );
  const tables = account.databases.map(({ name, sqlite }) => [
    name,
    sqlite
      .prepare(
        "SELECT name FROM sqlite_schema WHERE name IN ('tokens', 'routes', 'rollups', 'inbox') ORDER BY 1",
      )
      .all()
      .map((table) => table.name),
  ]);
  assert.deepEqual(tables, [
    ["token-manager-trial", ["routes", "tokens"]],
    ["token-manager-usage-trial", ["inbox", "rollups"]],
  ]);
  const ids = worker("admin-api").bindings.filter(({ type }) => type === "d1");
  assert.deepEqual(
    ids.map(({ name, id, database_id = id }) => [name, database_id]),
    [
      ["DB", account.databases[0].uuid],
      ["USAGE_DB", account.databases[1].uuid],
    ],
  );
  const deployed = account.deployments.at(-1);
  assert.equal(deployed.branch, "main");
  for (const file of ["/index.html", "/config.json"]) assert.ok(deployed.files.includes(file), file);
  const config = JSON.parse(readFileSync(path.join(root, `.wrangler/pages/${STAGE}/config.json`), "utf8"));
  assert.deepEqual(config, {
    api: "https://tapi.example.com",
    gateway: "https://token-manager-gateway-trial.acme.workers.dev",
    issuer: "https://clerk.example.com",
    clerk_publishable_key: PUBLISHABLE,
  });
  assert.deepEqual(read("settings"), {
    gateway: config.gateway,
    api: config.api,
    ui: vars("admin-api").ALLOWED_ORIGINS,
    clerk_publishable_key: PUBLISHABLE,
    bootstrap_admins: ["admin@example.com"],
  });
  assert.equal(statSync(at("vault")).mode & 0o777, 0o600);
});

test("a second deployment makes nothing twice, keeps every secret, and deploys the API first", async () => {
  const secrets = new Map(worker("admin-api").secrets);
  cloudflare.changes.length = 0;
  const { code, text } = await deploy([]);
  assert.equal(code, 0, text);
  assert.deepEqual(worker("admin-api").secrets, secrets);
  assert.deepEqual(
    cloudflare.changes.filter((change) => /POST .*(namespaces|database|queues|projects)$/.test(change)),
    [],
  );
  const uploads = cloudflare.changes
    .map((change) => change.match(/^POST \/workers\/scripts\/([^/]+)\/versions$/)?.[1])
    .filter(Boolean);
  assert.deepEqual(uploads, ["token-manager-admin-api-trial", "token-manager-gateway-trial"]);
  assert.equal(cloudflare.account.queues[0].consumers.length, 1);
});

test("a gateway that brings another Durable Object is deployed before the API that binds it", async () => {
  const plan = planOf(STAGE);
  const before = { ...process.env };
  Object.assign(process.env, cloudflare.env);
  const gateway = worker("gateway");
  const now = gateway.migration;
  try {
    const account = { id: ACCOUNT.id };
    assert.equal(await lacksObjects(account, plan), false);
    gateway.migration = plan.config.env.gateway.migrations.at(-2).tag;
    assert.equal(await lacksObjects(account, plan), true);
  } finally {
    gateway.migration = now;
    for (const name of Object.keys(cloudflare.env)) delete process.env[name];
    Object.assign(process.env, before);
  }
});

test("a bucket for raw calls gets the rule that deletes them, even if a deployment broke off before it", async () => {
  const bucket = `token-manager-calls-${STAGE}`;
  const nothing = { ...planOf(STAGE), namespaces: [], databases: {}, queues: [], buckets: [bucket] };
  const before = { ...process.env };
  Object.assign(process.env, cloudflare.env);
  try {
    const has = async () => {
      const found = await existing(nothing);
      return [found.has(`r2:${bucket}`), found.has(`expiry:${bucket}`)];
    };
    assert.deepEqual(await has(), [false, false]);
    await create.bucket(bucket);
    assert.deepEqual(await has(), [true, false]);
    await create.expiry(bucket, 31);
    assert.deepEqual(await has(), [true, true]);
  } finally {
    for (const name of Object.keys(cloudflare.env)) delete process.env[name];
    Object.assign(process.env, before);
  }
  const [{ rules }] = cloudflare.account.buckets;
  assert.deepEqual(
    rules.map(({ id, enabled, deleteObjectsTransition }) => [id, enabled, deleteObjectsTransition.condition]),
    [["calls", true, { type: "Age", maxAge: 31 * 86_400 }]],
  );
});

test("a key that only one Worker has is asked for and never guessed", () => {
  const both = ["TOKEN_CHECK_KEY", "CREDENTIAL_KEY", "DERIVE_KEY", "USAGE_LOG_KEY"];
  const halfway = { gateway: ["TOKEN_CHECK_KEY", "DERIVE_KEY"], "admin-api": both };
  assert.throws(() => missingSecrets(halfway, {}, {}), /CREDENTIAL_KEY is missing from gateway alone/);
  const key = newKey();
  assert.deepEqual(missingSecrets(halfway, { CREDENTIAL_KEY: key }, {}), {
    gateway: { CREDENTIAL_KEY: key },
    "admin-api": {},
  });
  assert.deepEqual(missingSecrets({ gateway: both, "admin-api": both }, {}, {}), {
    gateway: {},
    "admin-api": {},
  });
});

test("a recreated Worker gets the key in use, never a stale copy of it", () => {
  const both = ["TOKEN_CHECK_KEY", "CREDENTIAL_KEY", "DERIVE_KEY", "USAGE_LOG_KEY"];
  const present = { gateway: ["CREDENTIAL_KEY", "DERIVE_KEY"], "admin-api": both };
  const [stale, right] = [newKey(), `${newKey()},${newKey()}`];
  const atWork = { TOKEN_CHECK_KEY: fingerprints(right) };
  /** @param {Record<string, any>} [known] */
  const of = (vault, environment, known = atWork) =>
    missingSecrets(present, { TOKEN_CHECK_KEY: vault }, { TOKEN_CHECK_KEY: environment }, known).gateway
      .TOKEN_CHECK_KEY;
  assert.equal(of(stale, right), right);
  assert.equal(of(right, stale), right);
  assert.throws(() => of(stale, undefined), /The TOKEN_CHECK_KEY at hand is not the one that is at work/);
  assert.throws(() => of(stale, right, {}), /one in the environment and another in the vault file/);
  assert.equal(of(right, undefined, {}), right, "before the admin API has reported its keys");
});
