// `npm start` and the lines it prints, as a reader of the README runs them.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { ensureBrowser, root } from "../../scripts/setup.mjs";
import { eventually, freeRow } from "../support/harness.mjs";

const base = await freeRow(5);
const home = mkdtempSync(path.join(tmpdir(), "token-manager-"));
const environment = { ...process.env, PORT_BASE: String(base), TOKEN_MANAGER_HOME: home };

/** Starts the system and returns its output once it is ready. */
async function start(...args) {
  const child = spawn("npm", ["start", "--", ...args], { cwd: root, env: environment, detached: true });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  const started = Date.now();
  await eventually(
    () => {
      if (child.exitCode !== null) throw new Error(`npm start ended:\n${output}`);
      return output.includes("Ctrl-C stops it");
    },
    600_000,
    "npm start being ready",
  );
  const stop = async () => {
    process.kill(-child.pid, "SIGINT");
    await eventually(
      () => child.exitCode !== null || child.signalCode !== null,
      20_000,
      "the end of npm start",
    );
  };
  return { output, stop, seconds: (Date.now() - started) / 1000 };
}

const shell = (line) => execFileSync("bash", ["-c", line], { encoding: "utf8" });

let running;
before(async () => (running = await start()), { timeout: 600_000 });
after(async () => {
  await running?.stop();
  rmSync(home, { recursive: true, force: true });
});

test("the printed curl lines work when pasted", async () => {
  const lines = running.output
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.startsWith("curl "));
  assert.equal(lines.length, 3);
  const echo = JSON.parse(shell(`${lines[0]} -sS`));
  assert.equal(echo.headers.authorization, "Bearer vendor-key-of-demo");
  assert.ok(!JSON.stringify(echo).includes("ntk_"));
  assert.equal(shell(`${lines[1]} -sS`).match(/^data: /gm).length, 5);
  const usage = await eventually(
    () => {
      const answer = JSON.parse(shell(`${lines[2]} -sS`));
      return answer.total.calls >= 2 && answer;
    },
    10_000,
    "the calls being counted",
  );
  assert.equal(usage.recent[0].outcome, "ok");
});

test("a token made with a JWT from the issuer works on the next call", () => {
  const { token: jwt } = JSON.parse(
    shell(`curl -sS http://localhost:${base + 3}/token -d '{"user":"admin"}'`),
  );
  const body = JSON.stringify({ name: "mine", team_id: "automation", scopes: ["demo"] });
  const made = JSON.parse(
    shell(`curl -sS http://localhost:${base + 1}/api/tokens -H 'Authorization: Bearer ${jwt}' -d '${body}'`),
  );
  const status = shell(
    `curl -sS -o /dev/null -w '%{http_code}' http://localhost:${base}/api/demo -H 'X-API-Key: ${made.token}'`,
  );
  assert.equal(status, "200");
});

/** The commands of a document, on this system's ports, without those that start it. */
function commandsOf(file) {
  const text = readFileSync(path.join(root, file), "utf8");
  const blocks = [...text.matchAll(/```sh\n([^]*?)```/g)]
    .map((match) => match[1])
    .filter((block) => !/^npm /m.test(block));
  return blocks
    .join("\n")
    .replace(
      /localhost:879(\d)|localhost:878(\d)/g,
      (_, nine, eight) => `localhost:${base + (nine ? 3 + Number(nine) : Number(eight) - 7)}`,
    );
}

for (const file of ["README.md", "docs/api.md"]) {
  test(`every command in ${file} works`, () => {
    const commands = commandsOf(file);
    assert.ok(commands.match(/curl/g).length >= 5);
    const token = running.output.match(/ntk_\w+/)[0];
    const script = `set -euo pipefail\nTOKEN=${token}\ncurl() { command curl --fail-with-body -sS --max-time 30 "$@"; }\n${commands}`;
    const output = shell(script);
    assert.doesNotMatch(output, /"error"|^null$/m, output);
  });
}

test("the UI shows the health of the API, in both languages", async () => {
  const browser = await chromium.launch({
    executablePath: process.env.CHROME_PATH ?? (await ensureBrowser()),
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  try {
    const page = await browser.newPage({ locale: "en-GB" });
    const problems = [];
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    page.on("pageerror", (error) => problems.push(String(error)));
    await page.goto(`http://localhost:${base + 2}/system-health`);
    await page.getByText("admin-api").waitFor({ timeout: 30_000 });
    await page.getByRole("button", { name: /繁體中文|中文/ }).click();
    await page
      .getByRole("heading", { name: /[\u4e00-\u9fff]/ })
      .first()
      .waitFor();
    await page.goto(`http://localhost:${base + 2}/no-such-page`);
    await page.getByRole("heading", { name: /找不到|沒有/ }).waitFor();
    assert.deepEqual(problems, []);
  } finally {
    await browser.close();
  }
});

test("a second start is ready within five seconds and keeps the data", async (t) => {
  const token = running.output.match(/ntk_\w+/)[0];
  await running.stop();
  running = await start();
  t.diagnostic(`ready after ${running.seconds} s`);
  assert.ok(running.seconds < 5, `${running.seconds} s`);
  assert.equal(running.output.match(/ntk_\w+/)[0], token, "the same demo token");
  assert.equal(
    shell(
      `curl -sS -o /dev/null -w '%{http_code}' http://localhost:${base}/api/demo -H 'X-API-Key: ${token}'`,
    ),
    "200",
  );
});

test("--demo fills six weeks within a minute, once, so that lists, budgets and alerts have something to show", async (t) => {
  await running.stop();
  running = await start("--demo");
  const [, calls] = /(\d+) calls of six weeks/.exec(running.output);
  const [, seconds] = /step 4 of 5 took ([\d.]+) s/.exec(running.output);
  t.diagnostic(`${calls} calls in ${seconds} s`);
  assert.ok(Number(calls) > 30_000, calls);
  assert.ok(Number(seconds) < 60, seconds);
  const { token } = JSON.parse(shell(`curl -sS http://localhost:${base + 3}/token -d '{"user":"admin"}'`));
  const ask = async (where) => {
    const response = await fetch(`http://localhost:${base + 1}${where}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    assert.equal(response.status, 200, where);
    return response.json();
  };
  const from = Date.now() - 45 * 86_400_000;
  const stats = await ask(`/api/usage/stats?from=${from}&interval=day`);
  assert.ok(stats.total.calls >= Number(calls), `${stats.total.calls} of ${calls}`);
  assert.ok(stats.series.length >= 42, `${stats.series.length} days`);
  const { items } = await ask("/api/tokens?limit=200");
  const states = new Set(
    items.map(({ state, expires_at }) => (expires_at && expires_at < Date.now() ? "expired" : state)),
  );
  assert.deepEqual([...states].sort(), ["active", "disabled", "expired", "revoked"]);
  const used = await Promise.all(
    ["Ticket summaries", "Chat on the site"].map(async (name) => {
      const { uses } = await ask(`/api/tokens/${items.find((item) => item.name === name).id}/limits`);
      const [{ used, limit }] = uses.filter(({ kind }) => kind === "cost-micros-per-day");
      return used / limit;
    }),
  );
  assert.ok(used[0] >= 0.85 && used[0] < 1, `near its budget: ${used[0]}`);
  assert.ok(used[1] >= 0.97, `over its budget: ${used[1]}`);
  const kinds = (await ask("/api/notifications?limit=200")).items.map(({ kind }) => kind);
  for (const kind of ["route-failing", "token-expiring", "model-unpriced"])
    assert.ok(kinds.includes(kind), `${kind} in ${kinds}`);
  const denied = await ask("/api/usage/events?outcome=denied-scope&limit=1&from=0");
  assert.equal(denied.items.length, 1);
});
