// From the first sign-in to the first call, in a browser against the running system and the vendors' stand-ins.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { root } from "../../scripts/setup.mjs";
import { keys, startS3 } from "../support/aws.mjs";
import {
  assertNoProblems,
  browser,
  copied,
  openPage,
  signIn,
  system,
  useUi,
  violations,
} from "../support/ui.mjs";
import { KEYS, startVendors } from "../support/vendors.mjs";

const [vendors, s3] = await Promise.all([startVendors(), startS3(["files"])]);
useUi();
after(() => {
  vendors.close();
  s3.stop();
});

const dialog = (page) => page.getByRole("dialog");
const card = (page) =>
  page
    .locator(".pf-v6-c-card")
    .filter({ has: page.getByRole("heading", { name: /Make your first call|完成第一次呼叫/ }) });

/** Runs a command of a shell. Returns its output. */
const shell = async (command, env = {}) =>
  (
    await promisify(execFile)("bash", ["-c", command], { env: { ...process.env, ...env }, timeout: 20_000 })
  ).stdout.trim();

/** Counts the clicks and the keys of Enter in a page from now on, across its addresses. */
async function countClicks(page) {
  let clicks = 0;
  await page.exposeFunction("countClick", () => (clicks += 1));
  await page.addInitScript(() => {
    addEventListener("click", (event) => event.isTrusted && /** @type {any} */ (window).countClick(), true);
  });
  return () => clicks;
}

test("the first call is made with eight clicks within a minute of the sign-in", async (t) => {
  const page = await openPage(browser, system);
  const clicks = await countClicks(page);
  const begun = performance.now();
  await page.goto(`${system.urls.ui}/`);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator('button[value="admin"]').click();
  await card(page).getByRole("button", { name: "OpenAI" }).click();
  const form = dialog(page);
  await form.getByLabel("Upstream URL").waitFor();
  assert.equal(await form.getByLabel("Path", { exact: false }).first().inputValue(), "/api/openai");
  assert.equal(await form.getByLabel("AI provider").locator("option:checked").textContent(), "OpenAI");
  // The key's field has the focus, so it can be typed at once.
  await page.keyboard.type(KEYS.openai);
  // In place of the vendor's own address.
  await form.getByLabel("Upstream URL").fill(`${vendors.url}/openai/v1`);
  await form.getByRole("button", { name: "Create and test" }).click();
  await form.waitFor({ state: "detached" });
  await card(page)
    .getByText(/Test call: 200 in \d+ ms/)
    .waitFor();
  assert.ok(await card(page).getByLabel("Access to /api/openai").isChecked());
  assert.ok(await card(page).getByLabel("Limit to $5 a day").isChecked());
  await card(page).getByRole("button", { name: "Create token" }).click();
  await card(page).getByText("Waiting for the first call…").waitFor();
  const command = await copied(page, card(page).getByRole("button", { name: "Copy cURL" }));
  const answer = JSON.parse(await shell(`${command} -sS --fail-with-body`));
  assert.equal(answer.choices[0].message.content, "Hello");
  const row = card(page).getByRole("status").filter({ hasText: "POST /api/openai/chat/completions" });
  await row.getByText("200", { exact: true }).waitFor();
  const seconds = (performance.now() - begun) / 1000;
  await row.getByRole("link", { name: "View all calls" }).click();
  await page.getByText("POST /api/openai/chat/completions").waitFor();
  t.diagnostic(
    `first sign-in to the call in the list: ${clicks()} clicks; 200 after ${seconds.toFixed(1)} s`,
  );
  assert.ok(clicks() <= 8, `${clicks()} clicks`);
  assert.ok(seconds < 60, `${seconds} s`);

  const made = (await system.call("admin", "GET", "/api/tokens")).items[0];
  assert.deepEqual([made.scopes, made.limits], [["openai"], { cost_micros_per_day: 5_000_000 }]);
  await page.goto(`${system.urls.ui}/dashboard`);
  await page.locator(".tm-tiles").first().waitFor();
  await page.waitForLoadState("networkidle");
  assert.equal(await card(page).count(), 0, "the card is gone once a call has succeeded");
  assertNoProblems(page);
  await page.context().close();
});

/** The tiles with the stand-in that takes the vendor's place, and its key. */
const TILES = [
  ["Anthropic", () => `${vendors.url}/anthropic`, { Value: KEYS.anthropic }],
  ["Gemini", () => `${vendors.url}/google/v1beta`, { Value: KEYS.google }],
  ["Groq", () => `${vendors.url}/groq/openai/v1`, { Token: KEYS.groq }],
  ["CloudConvert", () => `${vendors.url}/cloudconvert/v2`, { Token: KEYS.cloudconvert }],
  [
    "AWS S3",
    () => s3.url,
    {
      "Access key ID": keys.access_key_id,
      "Secret access key": keys.secret_access_key,
      Region: keys.region,
    },
  ],
];

/** Whether Python has OpenAI's client. */
const python = process.env.OPENAI_PYTHON ?? "python3";
const hasPython = (() => {
  try {
    execFileSync(python, ["-c", "import openai"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

/** Runs every snippet that the page shows, in the program it is for. Returns the programs. */
async function runSnippets(page, token) {
  const choice = page.getByRole("group", { name: "Call it from" });
  const programs = await choice.getByRole("button").allTextContents();
  for (const program of programs) {
    await choice.getByRole("button", { name: program, exact: true }).click();
    const text = await page.locator(`[data-snippet="${program}"]`).textContent();
    await run(program, text, token);
  }
  return programs;
}

async function run(program, text, token) {
  if (program === "cURL") return shell(`${text} -sS --fail-with-body`);
  if (program === "OpenAI SDK (Python)") return hasPython && execute(python, ["-c", text]);
  if (program !== "n8n") return execute(process.execPath, ["--input-type=module", "-e", text], /^(?!4|5)/);
  const { method, url, headerParameters, jsonBody } = JSON.parse(text).nodes[0].parameters;
  const more = (headerParameters?.parameters ?? []).map(({ name, value }) => [name, value]);
  const headers = Object.fromEntries([["x-api-key", token], ["content-type", "application/json"], ...more]);
  const response = await fetch(url, { method, headers, body: jsonBody });
  assert.equal(response.status, 200, `${program}: ${await response.text()}`);
}

async function execute(file, args, expected = /./) {
  const { stdout } = await promisify(execFile)(file, args, { cwd: root, timeout: 20_000 });
  assert.match(stdout, expected, args.at(-1));
}

for (const [name, url, fields] of /** @type {any[][]} */ (TILES)) {
  test(`every snippet of ${name} works`, async () => {
    const page = await openPage(browser, system);
    await signIn(page, system, "admin", "/routes");
    await page.getByRole("button", { name: "Create route" }).click();
    const form = dialog(page);
    await form.getByRole("button", { name, exact: true }).click();
    await form.getByLabel("Upstream URL").fill(url());
    const group = form.getByRole("group", { name: "Credential" });
    for (const [field, value] of Object.entries(fields))
      await group.getByRole("textbox", { name: field, exact: true }).fill(value);
    await form.getByRole("button", { name: "Create and test" }).click();
    await form.waitFor({ state: "detached" });
    await page.getByText(/^Test call: 200 in/).waitFor();

    await page.goto(`${system.urls.ui}/tokens`);
    await page.getByRole("button", { name: "Create token" }).click();
    await form.getByLabel("Name").fill(`Snippets of ${name}`);
    const service = new URL(system.urls.ui + (await pathOf(name))).pathname.split("/")[2];
    await form.getByLabel(service, { exact: true }).check();
    await form.getByRole("button", { name: "Create token" }).click();
    const token = await page.locator("[data-secret]").textContent();
    const programs = await runSnippets(page, token);
    const others = name === "Groq" ? ["OpenAI SDK (Python)", "OpenAI SDK (JS)"] : [];
    assert.deepEqual(programs, ["cURL", "n8n", ...others, "fetch"]);
    assertNoProblems(page);
    await page.context().close();
  });
}

const pathOf = async (name) =>
  (await system.call("admin", "GET", `/api/routes?search=${encodeURIComponent(name)}`)).items[0].path;

test("a route whose credential is refused stays open to be mended", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/routes");
  await page.getByRole("button", { name: "Create route" }).click();
  const form = dialog(page);
  await form.getByRole("button", { name: "OpenAI", exact: true }).click();
  await form.getByLabel("Name", { exact: false }).first().fill("Second OpenAI");
  assert.equal(await form.getByLabel("Path", { exact: false }).first().inputValue(), "/api/second-openai");
  await form.getByLabel("Path", { exact: false }).first().fill("/api/second/");
  await form.getByLabel("Upstream URL").fill(`${vendors.url}/openai/v1`);
  await form.getByRole("textbox", { name: /^Token/ }).fill("sk-wrong");
  await form.getByRole("button", { name: "Create and test" }).click();
  await form.getByText("Test call: 401").waitFor();
  assert.deepEqual(await violations(page), []);
  await form.getByRole("textbox", { name: /^Token/ }).fill(KEYS.openai);
  await form.getByRole("button", { name: "Save and test" }).click();
  await form.waitFor({ state: "detached" });
  await page.getByText(/^Test call: 200 in/).waitFor();
  assert.equal(await pathOf("Second OpenAI"), "/api/second", "without the slash at its end");
  // The refused test call is the only complaint.
  await page.context().close();
});

test("the AI provider follows the host until it is chosen", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/routes");
  await page.getByRole("button", { name: "Create route" }).click();
  const form = dialog(page);
  const provider = () => form.getByLabel("AI provider").locator("option:checked").textContent();
  assert.equal(await provider(), "None");
  await form.getByLabel("Upstream URL").fill("https://openrouter.ai/api/v1");
  assert.equal(await provider(), "Compatible with OpenAI");
  await form.getByLabel("AI provider").selectOption({ label: "Anthropic" });
  await form.getByLabel("Upstream URL").fill("https://up.example");
  assert.equal(await provider(), "Anthropic");
  await page.context().close();
});
