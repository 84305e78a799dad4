// `npm start`: builds what is missing, starts the whole system in one process, seeds it, and says how
// to use it. `npm start -- --reset` starts over, `--demo` adds six weeks of made-up usage. The gateway and the API respond before the UI is built. `npm run dev` is
// the same, and then builds and loads again whatever part changes (watch.mjs).
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { ensureTarget, ensureTools, say, setUp } from "../setup.mjs";
import { build, compile, isBuilt } from "../build/build.mjs";

// Nobody waits for a release here: it compiles three times as long for a smaller file.
process.env.BUILD ??= "quick";

const isDemo = process.argv.includes("--demo");
const STEPS = isDemo ? 5 : 4;
let steps = 0;

/** Runs one step of a start, and prints its name and its duration. */
async function step(text, work) {
  const began = Date.now();
  const number = ++steps;
  say(`step ${number} of ${STEPS}: ${text}`);
  const result = await work();
  say(`step ${number} of ${STEPS} took ${((Date.now() - began) / 1000).toFixed(1)} s`);
  return result;
}

await setUp(import.meta.url, { cargoTools: false });
const missing = ["gateway", "admin-api"].filter((part) => !isBuilt(part));
await step("tools, and beside them the gateway and the API", async () => {
  await ensureTarget();
  const compileMissing = async () => {
    for (const part of missing) await compile(part);
  };
  await Promise.all([ensureTools(), compileMissing()]);
});
await step("gateway and API", async () => {
  for (const part of missing) await build(part);
});

const isWatching = process.argv.includes("--watch");
const system = await import("../../local/system.mjs");
const { ensureSecrets, localFiles, migrate, ports, seedSql, state, takenPorts } = system;
const { people, startIssuer } = await import("../../local/issuer.mjs");
const { startUpstream } = await import("../../local/upstream.mjs");
const { startWaitingPage } = await import("./waiting-page.mjs");

const at = ports();
const demoFile = path.join(localFiles, "demo.json");
if (process.argv.includes("--reset")) {
  rmSync(state, { recursive: true, force: true });
  rmSync(demoFile, { force: true });
  say("state removed");
}
ensureSecrets();

const taken = await takenPorts(Object.values(at));
if (taken.length > 0) {
  console.error(
    `Port ${taken.join(", ")} is taken. Is the system running already? PORT_BASE=9000 npm start moves all five ports.`,
  );
  process.exit(1);
}

// The UI shares the Workers' runtime only if it is there already and is not loaded again on its own.
const isUiBuilt = !isWatching && isBuilt("ui");
const options = { persist: state, ui: isUiBuilt };
const [upstream, issuer, workers, waitingPage] = await step("starting", async () => {
  await migrate();
  return Promise.all([
    startUpstream({ port: at.upstream }),
    startIssuer({
      port: at.issuer,
      origin: `http://localhost:${at.ui}`,
      keyFile: path.join(localFiles, "issuer.pem"),
    }),
    system.startWorkers(at, options),
    isUiBuilt ? null : startWaitingPage(at.ui),
  ]);
});
/** The UI's own process, if it was built after the Workers had started. */
let lateUi = null;
const api = `http://localhost:${at.api}`;
const gateway = `http://localhost:${at.gateway}`;

let closing = false;
async function close() {
  if (closing) return;
  closing = true;
  clearInterval(cron);
  await Promise.allSettled([lateUi?.dispose(), workers.dispose(), upstream.close(), issuer.close()]);
  process.exit(0);
}
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, close);
// Crons do not run by themselves outside Cloudflare.
const cron = setInterval(async () => {
  const worker = /** @type {any} */ (await workers.getWorker("admin-api"));
  await worker.scheduled({ cron: "* * * * *" }).catch((error) => console.error("cron:", error.message));
}, 60_000);

/** Calls the admin API; an error names the call and the response. */
async function call(method, where, { body = undefined, token = undefined } = {}) {
  const response = await fetch(api + where, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok)
    throw new Error(`${method} ${where} answered ${response.status}: ${JSON.stringify(answer)}`);
  return answer;
}

/** @type {any[][]} */
const demoRoutes = [
  ["Echo", "/api/demo", "/echo", ["demo"], true],
  ["OpenAI-like", "/api/openai", "/v1", ["ai"], true],
  ["Stream", "/api/stream", "/stream", ["demo"], false],
  ["Bytes", "/api/bytes", "/bytes", ["demo"], false],
  ["Sink", "/api/sink", "/sink", ["demo"], false],
  ["Slow", "/api/slow", "/slow", ["demo"], false],
  ["Status", "/api/status", "/status", ["demo"], false],
  ["Redirect", "/api/redirect", "/redirect", ["demo"], false],
];

async function seed() {
  const database = await workers.getD1Database("DB", "admin-api");
  const statements = seedSql()
    .replace(/^--.*$/gm, "")
    .split(/;\s*$/m)
    .map((text) => text.trim())
    .filter(Boolean);
  await database.batch(statements.map((text) => database.prepare(text)));
  const token = issuer.sign("user_admin");
  const { items } = await call("GET", "/api/routes?limit=200", { token });
  for (const [name, where, to, tags, secret] of demoRoutes) {
    if (items.some((route) => route.path === where)) continue;
    const credential = secret
      ? { kind: "bearer", token: `vendor-key-of-${where.split("/").at(-1)}` }
      : undefined;
    const body = { name, path: where, backend_url: `http://localhost:${at.upstream}${to}`, tags, credential };
    await call("POST", "/api/routes", { token, body });
  }
  return demoToken(token);
}

/** The demo token. Its plain text is kept in an ignored file, since nothing else has it. */
async function demoToken(token) {
  if (existsSync(demoFile)) {
    const kept = JSON.parse(readFileSync(demoFile, "utf8"));
    const own = await fetch(`${api}/api/usage/me`, { headers: { "x-api-key": kept.token } });
    if (own.ok) return kept.token;
  }
  const body = {
    name: "Demo",
    team_id: "automation",
    description: "Made by npm start",
    scopes: ["*"],
    expires_days: null,
  };
  const made = await call("POST", "/api/tokens", { token, body });
  mkdirSync(localFiles, { recursive: true });
  writeFileSync(demoFile, JSON.stringify({ token: made.token }), { mode: 0o600 });
  return made.token;
}

/** Adds six weeks of made-up usage, once. */
async function demo() {
  const { fillDemo } = await import("../../local/demo.mjs");
  const database = await workers.getD1Database("DB", "admin-api");
  const worker = /** @type {any} */ (await workers.getWorker("admin-api"));
  const made = await fillDemo({
    call: (method, where, body) => call(method, where, { body, token: issuer.sign("user_admin") }),
    deliver: (messages) =>
      worker.queue(
        "token-manager-usage",
        messages.map((message) => ({ timestamp: new Date(), attempts: 1, ...message })),
      ),
    sql: (text, ...values) =>
      database
        .prepare(text)
        .bind(...values)
        .run(),
    cron: () => worker.scheduled({ cron: "* * * * *" }),
    gateway,
    upstream: `http://localhost:${at.upstream}`,
    now: Date.now(),
  });
  say(made === null ? "the demo's calls are there already" : `${made} calls of six weeks`);
}

async function addUi() {
  try {
    await build("ui");
  } catch (error) {
    console.error(
      `The UI could not be built: ${error.message}\nThe gateway and the API go on. Ctrl-C stops them.`,
    );
    return false;
  }
  await loadUi();
  return true;
}

/** Loads the UI as it is built, the first time in place of the page that waits for it. */
async function loadUi() {
  if (lateUi) return system.reloadUi(lateUi, at);
  await waitingPage.dispose();
  lateUi = await system.startUi(at);
}

try {
  const token = await seed();
  if (isDemo) await step("six weeks of made-up usage", demo);
  say("the gateway and the API are ready");
  console.log(`
  gateway        ${gateway}
  admin API      ${api}
  admin UI       http://localhost:${at.ui}
  local issuer   ${issuer.url}
  demo upstream  ${upstream.url}

  A token to try:
    ${token}

  Call the demo upstream through the gateway:
    curl ${gateway}/api/demo/hello -H "X-API-Key: ${token}"

  A stream, chunk by chunk:
    curl -N ${gateway}/api/stream -H "X-API-Key: ${token}"

  What was counted:
    curl ${api}/api/usage/test-data -H "X-API-Key: ${token}"
`);
} catch (error) {
  console.error(`The system runs, but it could not be seeded: ${error.message}`);
  await close();
}
const isUiThere = await step(isUiBuilt ? "UI" : "UI; all the above can be used already", () =>
  isUiBuilt ? true : addUi(),
);
if (isUiThere) {
  say("ready");
  console.log(`
  Sign in to the UI at ${issuer.url}/sign-in as ${Object.keys(people).join(", ")};
  for scripts: curl ${issuer.url}/token -d '{"user":"admin"}'

  Ctrl-C stops it; state stays in .wrangler/state.
`);
}
if (isWatching) {
  const { watchSources } = await import("./watch.mjs");
  const reload = (part) => (part === "ui" ? loadUi() : system.reloadWorkers(workers, at, options));
  watchSources(["gateway", "admin-api", "ui"], reload);
  say("what changes is built and loaded again");
}
