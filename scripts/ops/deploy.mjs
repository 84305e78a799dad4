// `npm run deploy -- [--stage staging] [--dry-run] [--yes] [--gateway https://…] [--api https://…] [--ui https://…]`:
// brings a Cloudflare account in any state to a running system, and can be run again at any time. docs/deploy.md has
// each step by hand.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { parseArgs } from "node:util";
import { root, run, setUp } from "../setup.mjs";
import { build } from "../build/build.mjs";
import { clerkOrigin, writeHeaders } from "../build/headers.mjs";

// Always a release: sizes and speed apply to it only.
process.env.BUILD = "release";
await setUp(import.meta.url);
const {
  PAGES_DEV,
  PRODUCTION,
  Stop,
  WORKERS,
  addresses,
  configured,
  isPlatforms,
  plan: planOf,
  readSettings,
  settingsFile,
  writeSettings,
} = await import("./stage/stage.mjs");
const { attachDomain, cloudflare, create, database, existing, lacksObjects, secretsOf, signedIn } =
  await import("./stage/account.mjs");
const { isHalfSet, missingSecrets, readVault, vaultFile, writeVault } = await import("./keys/secrets.mjs");
const { withOutput, wrangler } = await import("./stage/wrangler.mjs");

const relative = (file) => path.relative(root, file);
const say = (text = "") => console.log(text);

function readOptions() {
  const text = /** @type {const} */ ({ type: "string" });
  const flag = /** @type {const} */ ({ type: "boolean", default: false });
  try {
    return parseArgs({
      options: {
        stage: { type: "string", default: PRODUCTION },
        "dry-run": flag,
        yes: flag,
        gateway: text,
        api: text,
        ui: text,
        admin: text,
        "clerk-publishable-key": text,
        token: text,
        "skip-check": flag,
      },
    }).values;
  } catch (error) {
    throw new Stop(error.message);
  }
}

/** Runs one step: prints its plan, then its result. A dry run prints only the plan. */
async function step(options, text, work) {
  say(`${options["dry-run"] ? "would " : "  "}${text}`);
  return options["dry-run"] ? undefined : work();
}

/** Asks the operator; a secret is not shown while it is typed. Undefined without a terminal or an answer. */
async function ask(options, question, { secret = false } = {}) {
  if (options.yes || options["dry-run"] || !process.stdin.isTTY) return undefined;
  if (secret) process.stdout.write(`${question}: `);
  const output = secret ? new Writable({ write: (_chunk, _encoding, done) => done() }) : process.stdout;
  const terminal = createInterface({ input: process.stdin, output, terminal: true });
  try {
    return (await terminal.question(`${question}: `)).trim() || undefined;
  } finally {
    terminal.close();
    if (secret) process.stdout.write("\n");
  }
}

/** The settings of the stage: from the file, overridden by the command line; asked for if both lack them. */
async function settle(options) {
  const settings = { ...readSettings(options.stage) };
  for (const name of ["gateway", "api", "ui"]) if (options[name]) settings[name] = options[name];
  settings.clerk_publishable_key =
    options["clerk-publishable-key"] ??
    process.env.CLERK_PUBLISHABLE_KEY ??
    settings.clerk_publishable_key ??
    (await ask(options, "Clerk's publishable key (pk_live_… or pk_test_…, Clerk's dashboard, API keys)"));
  const admin =
    options.admin ??
    (settings.bootstrap_admins
      ? undefined
      : await ask(options, "First platform admin (e-mail address or Clerk user id)"));
  if (admin) settings.bootstrap_admins = admin.split(",").map((one) => one.trim());
  if (options["dry-run"]) return { clerk_publishable_key: undefined, bootstrap_admins: [], ...settings };
  if (!settings.clerk_publishable_key)
    throw new Stop(
      "Clerk's publishable key is missing: --clerk-publishable-key pk_…, or CLERK_PUBLISHABLE_KEY",
    );
  if (!settings.bootstrap_admins)
    throw new Stop(
      "Nobody would be platform admin: --admin you@example.com (or a Clerk user id; several with commas)",
    );
  clerkOrigin(settings.clerk_publishable_key);
  return settings;
}

async function main() {
  const options = readOptions();
  const dry = options["dry-run"];
  const plan = planOf(options.stage);
  const settings = await settle(options);
  let at = addresses(options.stage, plan.config, settings);

  const account = await signedIn();
  if (!account && !dry)
    throw new Stop(
      "Nobody is signed in to Cloudflare: npx wrangler login, or set CLOUDFLARE_API_TOKEN (docs/deploy.md says which rights it needs)",
    );
  if (account) process.env.CLOUDFLARE_ACCOUNT_ID = account.id;
  say(
    `Token Manager, stage ${options.stage}, ${account ? `account ${account.name} (${account.id})` : "not signed in: what exists already is not known"}`,
  );
  const has = account ? await existing(plan) : new Map();
  const present = account ? await secretsOf(plan) : { gateway: null, "admin-api": null };

  for (const part of ["gateway", "admin-api", "ui"]) await step(options, `build ${part}`, () => build(part));

  const ids = new Map(has);
  const ensure = async (what, key, make) => {
    if (has.has(key)) say(`  ${what}: there`);
    else ids.set(key, await step(options, `create ${what}`, make));
  };
  for (const title of plan.namespaces)
    await ensure(`KV namespace ${title}`, `kv:${title}`, () => create.namespace(title));
  for (const name of Object.values(plan.databases))
    await ensure(`D1 database ${name}`, `d1:${name}`, () => create.database(name));
  for (const name of plan.queues) await ensure(`queue ${name}`, `queue:${name}`, () => create.queue(name));
  // A day later than the rows that name the objects.
  const days = Number(plan.config.env["admin-api"].vars.EVENTS_RETENTION_DAYS) + 1;
  for (const name of plan.buckets) {
    await ensure(`R2 bucket ${name}`, `r2:${name}`, () => create.bucket(name));
    await ensure(`rule that deletes what is in ${name} after ${days} days`, `expiry:${name}`, () =>
      create.expiry(name, days),
    );
  }
  await ensure(`Pages project ${plan.project}`, `pages:${plan.project}`, () => create.project(plan));
  if (at.ui === PAGES_DEV && ids.get(`pages:${plan.project}`))
    at = { ...at, ui: `https://${ids.get(`pages:${plan.project}`)}` };

  if (!present["admin-api"]?.includes("CLERK_SECRET_KEY")) {
    process.env.CLERK_SECRET_KEY ||=
      (await ask(options, "Clerk's secret key (sk_…, for people and invitations; Enter leaves it out)", {
        secret: true,
      })) ?? "";
  }
  const vault = readVault(options.stage);
  const atWork =
    account && isHalfSet(present) ? await keysAtWork(account, has.get(`d1:${plan.databases.DB}`)) : {};
  const secrets = missingSecrets(present, vault, process.env, atWork);
  const made = Object.assign({}, ...Object.values(secrets));
  if (Object.keys(made).length > 0) {
    await step(
      options,
      `keep a copy of ${Object.keys(made).join(", ")} in ${relative(vaultFile(options.stage))}: put it into your vault`,
      () => writeVault(options.stage, { ...vault, ...made }),
    );
  } else say("  secrets: all there");

  const configure = () =>
    writeFileSync(plan.configFile, `${JSON.stringify(configured(plan, { ids, at, settings }), null, 2)}\n`);
  await step(
    options,
    `write ${relative(plan.configFile)} (wrangler.toml with this account's ids and this stage's hosts)`,
    configure,
  );
  const withConfig = ["--config", plan.configFile];
  // Before the Workers: each migration keeps everything that the current ones need.
  for (const [binding, name] of Object.entries(plan.databases))
    await step(options, `apply the migrations of ${name}`, () =>
      wrangler(["d1", "migrations", "apply", binding, "--remote", "--env", "admin-api", ...withConfig]),
    );

  // The first time the gateway goes first, and whenever it brings another Durable Object, as the admin API binds them;
  // otherwise the admin API does, so that it understands everything a newer gateway may send.
  const bringsObjects = present.gateway === null || (await lacksObjects(account, plan));
  const order = bringsObjects ? WORKERS : [...WORKERS].reverse();
  for (const worker of order) {
    const { name } = plan.config.env[worker];
    const own = worker === "gateway" ? "gateway" : "api";
    const set = Object.keys(secrets[worker]);
    await step(
      options,
      `deploy ${name} to ${at[own]}${set.length > 0 ? ` with ${set.join(", ")}` : ""}`,
      async () => {
        const address = await deployWorker(worker, withConfig, secrets[worker]);
        if (isPlatforms(at[own])) at = { ...at, [own]: address ?? at[own] };
        say(`    ${at[own]}`);
      },
    );
    if (dry) say(await bundleOf(worker));
  }

  await step(options, `write config.json and deploy the UI to ${at.ui}`, () =>
    deployUi(options, plan, at, settings),
  );
  if (!isPlatforms(at.ui)) {
    const { hostname } = new URL(at.ui);
    await step(options, `have Pages answer on ${hostname}`, async () => {
      const status = await attachDomain(account, plan.project, hostname);
      if (status !== "active")
        say(
          `    ${status}: ${hostname} must be a CNAME to ${ids.get(`pages:${plan.project}`)}, proxied (docs/deploy.md, "DNS")`,
        );
    });
  }
  await step(
    options,
    `write ${relative(settingsFile(options.stage))} (what you decided; no secrets: commit it)`,
    () => writeSettings(options.stage, { ...settings, ...at }),
  );

  const check = [
    "scripts/ops/check.mjs",
    "--gateway",
    at.gateway,
    "--api",
    at.api,
    "--ui",
    at.ui,
    "--wait",
    "180",
    ...(options.token ? ["--token", options.token] : []),
  ];
  if (options["skip-check"]) say(`  not checked: node ${check.join(" ")}`);
  else await step(options, "check it from outside (npm run check)", () => run(process.execPath, check));
  if (dry) return say("\nNothing was changed.");
  say(`
It runs. What is left to do by hand, once:
  1. ${secrets["admin-api"].CLERK_WEBHOOK_SECRET || present["admin-api"]?.includes("CLERK_WEBHOOK_SECRET") ? "(done) " : ""}Clerk's dashboard, Webhooks: endpoint ${at.api}/api/webhooks/clerk, events user.*; then CLERK_WEBHOOK_SECRET=whsec_… npm run deploy${options.stage === PRODUCTION ? "" : ` -- --stage ${options.stage}`}
  2. Sign in at ${at.ui} as ${settings.bootstrap_admins.join(" or ")}; make a route and a token
  3. npm run check -- --gateway ${at.gateway} --api ${at.api} --ui ${at.ui} --token ntk_… --path /api/<your route>`);
}

/** The fingerprints of the keys in use by the admin API, by name; none before it has reported them. */
async function keysAtWork(account, databaseId) {
  if (!databaseId) return {};
  const sql = database(cloudflare(account.id), databaseId);
  const hasSettings = (await sql("SELECT 1 FROM sqlite_schema WHERE name = 'settings'")).length > 0;
  return hasSettings
    ? JSON.parse((await sql("SELECT value FROM settings WHERE key = 'keys'"))[0]?.value ?? "{}")
    : {};
}

/** Deploys one Worker together with its new secrets. Returns the address that Cloudflare gave it. */
async function deployWorker(worker, withConfig, secrets) {
  const folder = mkdtempSync(path.join(tmpdir(), "secrets-"));
  try {
    const file = path.join(folder, "secrets.json");
    writeFileSync(file, JSON.stringify(secrets), { mode: 0o600 });
    const withSecrets = Object.keys(secrets).length > 0 ? ["--secrets-file", file] : [];
    const output = await withOutput(["deploy", "--env", worker, ...withConfig, ...withSecrets]);
    const targets = output.find((entry) => entry.type === "deploy")?.targets ?? [];
    return targets.find((target) => target.includes(".workers.dev"))?.replace(/\/$/, "");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The files that would be uploaded, and their sizes. */
async function bundleOf(worker) {
  const output = await wrangler(["deploy", "--dry-run", "--env", worker]);
  return output
    .split("\n")
    .filter((line) => /Total Upload|^env\./.test(line))
    .map((line) => `      ${line.trim()}`)
    .join("\n");
}

async function deployUi({ stage }, plan, at, settings) {
  const folder = path.join(root, ".wrangler/pages", stage);
  rmSync(folder, { recursive: true, force: true });
  cpSync(path.join(root, "admin-ui/dist"), folder, { recursive: true });
  const { clerk_publishable_key } = settings;
  const config = {
    api: at.api,
    gateway: at.gateway,
    issuer: clerkOrigin(clerk_publishable_key),
    clerk_publishable_key,
  };
  writeFileSync(path.join(folder, "config.json"), JSON.stringify(config, null, 2));
  writeHeaders(folder);
  await wrangler([
    "pages",
    "deploy",
    folder,
    "--project-name",
    plan.project,
    "--branch",
    "main",
    "--commit-dirty=true",
  ]);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Stop)) throw error;
  console.error(
    `\n${error.message}\n\nNothing is lost: what was done stays, and npm run deploy goes on from here.`,
  );
  process.exit(1);
}
