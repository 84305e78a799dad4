// Work with routes, in a browser against the running system.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { root } from "../../scripts/setup.mjs";
import { keys } from "../support/aws.mjs";
import { eventually } from "../support/harness.mjs";
import { startGoogle } from "../support/service-account.mjs";
import { ROLE, startAws } from "../support/sts.mjs";
import { assertNoProblems, browser, copied, openPage, signIn, system, useUi } from "../support/ui.mjs";

const [google, aws] = await Promise.all([startGoogle(), startAws()]);
let token;
useUi(async () => {
  ({ token } = await system.call("admin", "POST", "/api/tokens", {
    name: "All",
    team_id: "automation",
    scopes: ["*"],
    expires_days: 1,
  }));
});
after(() => {
  google.close();
  aws.close();
});

const dialog = (page) => page.getByRole("dialog");
const echo = async (path) =>
  (await fetch(system.urls.gateway + path, { headers: { "x-api-key": token } })).json();

for (const [kind, label, fields, arrived] of /** @type {any[][]} */ ([
  ["none", "None", {}, (got) => !got.headers.authorization],
  [
    "bearer",
    "Bearer token",
    { Token: "s3cret-bearer" },
    (got) => got.headers.authorization === "Bearer s3cret-bearer",
  ],
  [
    "header",
    "Header",
    { Header: "X-Vendor", Value: "s3cret-header" },
    (got) => got.headers["x-vendor"] === "s3cret-header",
  ],
  [
    "basic",
    "User name and password",
    { "User name": "u", Password: "s3cret-basic" },
    (got) => got.headers.authorization === `Basic ${Buffer.from("u:s3cret-basic").toString("base64")}`,
  ],
  [
    "headers",
    "Several headers",
    { Header: "X-Vendor", Value: "s3cret-first", "Header 2": "X-Account", "Value 2": "s3cret-second" },
    (got) => got.headers["x-vendor"] === "s3cret-first" && got.headers["x-account"] === "s3cret-second",
  ],
  [
    "oauth2",
    "OAuth 2 client credentials",
    { "Token URL": "/token", "Client ID": "client", "Client secret": "s3cret", Scope: "read" },
    (got) => /^Bearer at_\d+_read$/.test(got.headers.authorization),
  ],
  [
    "google",
    "Google service account",
    { "Key file (JSON)": () => google.account({ project_id: "s3cret-google" }).key_file, Scope: "read" },
    (got) => got.headers.authorization === `Bearer ${google.last}`,
  ],
  [
    "aws",
    "AWS signature (SigV4)",
    {
      "Access key ID": "AKIDEXAMPLE",
      "Secret access key": "s3cret-aws",
      Region: "eu-west-1",
      Service: "lambda",
    },
    (got) => got.headers.authorization?.startsWith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"),
  ],
  [
    "role",
    "AWS signature (SigV4)",
    {
      "Access key ID": () => keys.access_key_id,
      "Secret access key": () => keys.secret_access_key,
      Region: "eu-west-1",
      Service: "lambda",
      "Role to assume (ARN)": ROLE,
      "Session name": "n8n",
      "STS URL": () => aws.url,
    },
    (got) => got.headers["x-amz-security-token"] === aws.sessions.at(-1)?.token,
  ],
  [
    "query",
    "Query parameter",
    { Parameter: "key", Value: "s3cret-query" },
    (got) => JSON.stringify(got).includes("key=s3cret-query"),
  ],
])) {
  test(`a route with a credential of kind ${kind} is made and called`, async () => {
    const page = await openPage(browser, system);
    await signIn(page, system, "admin", "/routes");
    await page.getByRole("button", { name: "Create route" }).click();
    const form = dialog(page);
    await form.getByLabel("Name", { exact: false }).first().fill(`By ${kind}`);
    await form.getByLabel("Path", { exact: false }).first().fill(`/api/${kind}`);
    await form.getByLabel("Upstream URL").fill(`${system.upstream.url}/echo`);
    await form.getByLabel("Sample path").fill("/a?b=1");
    assert.equal(await form.locator("[data-preview]").textContent(), `${system.upstream.url}/echo/a?b=1`);
    if (kind !== "none") {
      await form.getByLabel("Kind").selectOption({ label });
      const group = form.getByRole("group", { name: "Credential" });
      if (kind === "headers") await group.getByRole("button", { name: "Add a header" }).click();
      for (const [name, given] of Object.entries(fields)) {
        const value = typeof given === "function" ? given() : given;
        await group
          .getByRole("textbox", { name, exact: true })
          .fill(value.startsWith("/") ? system.upstream.url + value : value);
      }
    }
    await form.getByLabel("Tags").fill("demo, new");
    await form.getByRole("button", { name: "Create and test" }).click();
    await form.waitFor({ state: "detached" });
    await page.getByRole("link", { name: `By ${kind}` }).waitFor();
    const html = await page.content();
    assert.ok(!html.includes("s3cret"), "no secret stays in the page");
    const got = await eventually(
      async () => {
        const answer = await echo(`/api/${kind}/x`);
        return answer.headers && answer;
      },
      40_000,
      "the route being published",
    );
    assert.ok(arrived(got), JSON.stringify(got));
    assertNoProblems(page);
    await page.context().close();
  });
}

test("a pool is made key by key, shown with what became of each, and one key is changed alone", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/routes");
  await page.getByRole("button", { name: "Create route" }).click();
  const form = dialog(page);
  await form.getByLabel("Name", { exact: false }).first().fill("By pool");
  await form.getByLabel("Upstream URL").fill(`${system.upstream.url}/echo`);
  await form.getByLabel("Kind").selectOption({ label: "Several credentials" });
  const key = (number) => form.getByRole("group", { name: `Credential ${number}`, exact: true });
  const fill = (number, name, value) => key(number).getByRole("textbox", { name, exact: true }).fill(value);
  await form.getByRole("button", { name: "Create and test" }).click();
  await key(2).getByText("Name is required").waitFor();
  for (const [number, name] of [
    [1, "one"],
    [2, "two"],
  ]) {
    await fill(number, "Name", `key-${name}`);
    await fill(number, "Token", `s3cret-${name}`);
  }
  await form.getByRole("button", { name: "Create and test" }).click();
  await form.waitFor({ state: "detached" });
  const sent = async () => (await echo("/api/by-pool/x")).headers?.authorization;
  await eventually(async () => (await sent()) === "Bearer s3cret-one", 40_000, "the first key being used");

  await page.getByRole("link", { name: "By pool" }).click();
  await page.getByText("key-two").first().waitFor();
  await eventually(
    async () => {
      await page.reload();
      return page
        .getByText(/key-one · Bearer token · served [1-9]/)
        .waitFor({ timeout: 2_000 })
        .then(
          () => true,
          () => false,
        );
    },
    20_000,
    "the count of the first key's calls",
  );
  await page.getByRole("button", { name: "Edit", exact: true }).click();
  await form.getByLabel("Kind").first().selectOption({ label: "Several credentials" });
  await key(1).getByLabel("Kind").selectOption({ label: "Bearer token" });
  await fill(1, "Token", "s3cret-three");
  await form.getByRole("button", { name: "Save" }).click();
  await form.waitFor({ state: "detached" });
  await eventually(async () => (await sent()) === "Bearer s3cret-three", 40_000, "the new key being used");
  assert.ok(!(await page.content()).includes("s3cret"), "no secret stays in the page");
  assertNoProblems(page);
  await page.context().close();
});

test("an upstream's host may be typed in Unicode", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/routes");
  await page.getByRole("button", { name: "Create route" }).click();
  const form = dialog(page);
  await form.getByLabel("Name", { exact: false }).first().fill("Books");
  await form.getByLabel("Path", { exact: false }).first().fill("/api/books");
  await form.getByLabel("Upstream URL").fill("https://bücher.example/v1");
  await form.getByLabel("Sample path").fill("/a");
  assert.equal(await form.locator("[data-preview]").textContent(), "https://xn--bcher-kva.example/v1/a");
  await form.getByRole("button", { name: "Create and test" }).click();
  await form.getByText("“Books” is saved, but its test call failed").waitFor();
  await page.keyboard.press("Escape");
  await form.waitFor({ state: "detached" });
  await page.getByRole("link", { name: "Books" }).waitFor();
  assertNoProblems(page);
  await page.context().close();
});

test("a blank secret keeps the current one, and another origin requires it again", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/routes");
  await page.getByRole("link", { name: "By bearer" }).click();
  await page.getByRole("button", { name: "Edit", exact: true }).click();
  await dialog(page).getByLabel("Description").fill("Changed");
  await dialog(page).getByLabel("Kind").selectOption({ label: "Bearer token" });
  await dialog(page).getByText("Leave blank to keep it.").waitFor();
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await page.getByText("Changed", { exact: true }).first().waitFor();
  assert.equal((await echo("/api/bearer/x")).headers.authorization, "Bearer s3cret-bearer");
  await page.getByRole("button", { name: "Edit", exact: true }).click();
  await dialog(page).getByLabel("Upstream URL").fill("https://elsewhere.example/v1");
  await dialog(page)
    .getByText(/the host changed/)
    .waitFor();
  await page.keyboard.press("Escape");
  await dialog(page).getByRole("button", { name: "Discard", exact: true }).click();
  await dialog(page).waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.getByText("200", { exact: true }).waitFor();
  assertNoProblems(page);
  await page.context().close();
});

test("a route is closed for maintenance with a text, and opened again", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/routes");
  await page.getByRole("link", { name: "By basic" }).click();
  await page.getByRole("button", { name: "Edit", exact: true }).click();
  const form = dialog(page);
  await form.getByLabel("AI provider").selectOption({ label: "OpenAI" });
  await form.getByText("More settings").click();
  await form.getByLabel("Ask for usage in streamed responses").check();
  await form.getByLabel("Fallback route").selectOption({ label: "By none /api/none" });
  await form.getByLabel("Model names there").fill("gpt-4o");
  await form.getByLabel("Wait and retry for up to (seconds)").fill("31");
  await form.getByLabel("Maintenance mode").check();
  await form.getByRole("button", { name: "Save" }).click();
  await form.getByText("Notice is required").waitFor();
  assert.equal(await form.getByLabel("Model names there").getAttribute("aria-invalid"), "true");
  assert.equal(
    await form.getByLabel("Wait and retry for up to (seconds)").getAttribute("aria-invalid"),
    "true",
  );
  await form.getByLabel("Model names there").fill("gpt-4o = our-4o");
  await form.getByLabel("Wait and retry for up to (seconds)").fill("30");
  await form.getByLabel("Also retry POST and PATCH after other 5xx").check();
  await form.getByLabel("Notice").fill("Back at noon");
  await form.getByLabel("Try again after (seconds)").fill("90");
  await form.getByRole("button", { name: "Save" }).click();
  await form.waitFor({ state: "detached" });
  await page.getByText("Back at noon").waitFor();
  const closed = await eventually(
    async () => {
      const answer = await fetch(`${system.urls.gateway}/api/basic/x`, { headers: { "x-api-key": token } });
      return answer.status === 503 && answer;
    },
    40_000,
    "the route being closed",
  );
  assert.equal(closed.headers.get("retry-after"), "90");
  assert.equal((await closed.json()).message, "Back at noon");
  const { id, upstream } = (await system.call("admin", "GET", "/api/routes?search=/api/basic")).items[0];
  assert.deepEqual(
    [upstream.settings.ai, upstream.settings.failover.any_method, upstream.settings.failover.models],
    [{ provider: "openai", include_usage: true }, undefined, { "gpt-4o": "our-4o" }],
  );

  await page.getByRole("button", { name: "Edit", exact: true }).click();
  await form.getByLabel("Maintenance mode").uncheck();
  await form.getByLabel("Fallback route").selectOption({ label: "None" });
  await form.getByLabel("Wait and retry for up to (seconds)").fill("5");
  await form.getByRole("button", { name: "Save" }).click();
  await form.waitFor({ state: "detached" });
  assert.deepEqual((await system.call("admin", "GET", `/api/routes/${id}`)).upstream.settings, {
    ai: { provider: "openai", include_usage: true },
    retry_within_s: 5,
    retry_any_method: true,
  });
  assertNoProblems(page);
  await page.context().close();
});

test("a bad field is named beside the field, in the reader's language", async () => {
  const page = await openPage(browser, system, { language: "zh-Hant" });
  await signIn(page, system, "admin", "/routes");
  await page.getByRole("button", { name: "建立路由" }).click();
  await dialog(page).getByRole("button", { name: "建立並測試" }).click();
  await dialog(page).getByText("請填寫名稱").waitFor();
  assert.equal(await dialog(page).getByLabel("名稱").first().getAttribute("aria-invalid"), "true");
  assertNoProblems(page);
  await page.context().close();
});

test("Copy cURL runs in a shell, and Copy n8n node is a node of n8n", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "viewer", "/routes");
  const copy = (name) => copied(page, page.getByRole("button", { name: `${name}: By bearer` }));
  const command = await copy("Copy cURL");
  const { stdout } = await promisify(execFile)(
    "bash",
    ["-c", `${command} -sS -o /dev/null -w '%{http_code}'`],
    { env: { ...process.env, TOKEN: token } },
  );
  assert.equal(stdout, "200");
  const { nodes, connections } = JSON.parse(await copy("Copy n8n node"));
  assert.deepEqual(connections, {});
  assert.equal(nodes.length, 1);
  const { id, ...node } = nodes[0];
  assert.match(id, /^[0-9a-f-]{36}$/);
  assert.deepEqual(node, {
    name: "By bearer",
    type: "n8n-nodes-base.httpRequest",
    typeVersion: 4.2,
    position: [0, 0],
    parameters: {
      method: "GET",
      // The last call that succeeded.
      url: `${system.urls.gateway}/api/bearer/x`,
      authentication: "genericCredentialType",
      genericAuthType: "httpHeaderAuth",
      sendHeaders: true,
      headerParameters: {
        parameters: [{ name: "X-Workflow", value: "={{ encodeURIComponent($workflow.name) }}" }],
      },
      options: { redirect: { redirect: { followRedirects: false } } },
    },
  });
  const published = JSON.parse(readFileSync(path.join(root, "tests/support/n8n-http-request.json"), "utf8"));
  assert.ok(published.versions.includes(node.typeVersion));
  for (const name of Object.keys(node.parameters))
    assert.ok(published.parameters.includes(name), `n8n has no parameter ${name}`);
  for (const name of ["method", "authentication", "genericAuthType"])
    assert.ok(published[name].includes(node.parameters[name]), name);
  assertNoProblems(page);
  await page.context().close();
});

test("deleting a route shows who uses it, and the audit log records it", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/routes?search=none");
  await page.getByRole("link", { name: "By none" }).click();
  await page.getByRole("button", { name: "Delete" }).click();
  await dialog(page).getByText("The calls came from:").waitFor();
  await dialog(page).getByRole("listitem").filter({ hasText: "All" }).waitFor();
  await dialog(page).getByRole("button", { name: "Delete" }).click();
  await page.getByRole("heading", { name: "Routes", level: 1 }).waitFor();
  await page.goto(`${system.urls.ui}/audit-logs?action=delete-route`);
  const row = page.getByRole("row").filter({ hasText: "Route deleted" });
  await row.getByText("Details").click();
  await row.getByText("By none").waitFor();
  assert.ok(!(await page.content()).includes("s3cret"));
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Download CSV" }).click(),
  ]);
  assert.equal(file.suggestedFilename(), "audit.csv");
  assertNoProblems(page);
  await page.context().close();
});
