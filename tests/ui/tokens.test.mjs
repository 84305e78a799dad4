// Work with tokens, in a browser against the running system.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { eventually } from "../support/harness.mjs";
import { assertNoProblems, browser, copied, openPage, signIn, system, useUi } from "../support/ui.mjs";

useUi(async () => {
  await system.addRoute("Echo", "/api/demo", "/echo", {
    credential: { kind: "bearer", token: "vendor-key" },
  });
  await system.addRoute("Models", "/api/openai", "/v1", { tags: ["ai"] });
});

const call = (token, path = "/api/demo/hello", method = "GET") =>
  fetch(system.urls.gateway + path, { method, headers: { "x-api-key": token } });
const dialog = (page) => page.getByRole("dialog");
const secret = (page) => page.locator("[data-secret]");

/** Says where on a page a text is still found. */
const traces = (page, text) =>
  page.evaluate(
    (text) => ({
      dom: document.documentElement.outerHTML.includes(text),
      inputs: [
        .../** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input, textarea")),
      ].some((input) => input.value.includes(text)),
      storage: [localStorage, sessionStorage].some((storage) =>
        JSON.stringify({ ...storage }).includes(text),
      ),
      url: location.href.includes(text),
    }),
    text,
  );
const NO_TRACES = { dom: false, inputs: false, storage: false, url: false };

test("a token is made, shown once, used for a call and listed; no secret stays behind", async () => {
  const page = await openPage(browser, system);
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  await signIn(page, system, "manager", "/tokens");
  await page.getByText("There are no tokens yet").waitFor();
  await page.getByRole("button", { name: "Create token" }).click();
  const form = dialog(page);
  await form.getByLabel("Name").fill("Daily digest");
  const save = form.getByRole("button", { name: "Create token" });
  await save.click();
  await form
    .getByText(/Select at least one scope/)
    .first()
    .waitFor();
  await form.getByLabel("demo", { exact: true }).check();
  await form.getByText("Grants access to 1 route").waitFor();
  await save.click();
  const token = await secret(page).textContent();
  assert.match(token, /^ntk_[0-9A-Za-z]{49}$/);
  await page.keyboard.press("Escape");
  await page.getByText("Copy the token first. It is not shown again.").waitFor();
  assert.ok(await secret(page).isVisible(), "it closes only after the token was copied");
  assert.ok(await page.getByRole("button", { name: "Done" }).isDisabled());
  assert.equal(await copied(page, page.getByRole("button", { name: "Copy the token" })), token);
  const command = await copied(page, page.getByRole("button", { name: "Copy cURL" }));
  // Asynchronous, because the upstream of the call runs in this process.
  const { stdout } = await promisify(execFile)("bash", [
    "-c",
    `${command} -sS -o /dev/null -w '%{http_code}'`,
  ]);
  assert.equal(stdout, "200");

  await page.keyboard.press("Escape");
  await dialog(page).waitFor({ state: "detached" });
  await dialog(page).waitFor({ state: "detached" });
  assert.deepEqual(await traces(page, token), NO_TRACES);
  assert.ok(!said.join("\n").includes(token), "not in the console");

  await page.getByRole("link", { name: "Daily digest" }).waitFor();
  await eventually(
    async () => {
      await page.reload();
      const row = page.getByRole("row").filter({ hasText: "Daily digest" });
      await row.waitFor();
      return !(await row.textContent()).includes("Never");
    },
    20_000,
    "the call being seen in the list",
  );
  assertNoProblems(page);
  await page.context().close();
});

test("rotate, disable, enable, extend and revoke do what they say", async () => {
  const { id, token } = await system.call("manager", "POST", "/api/tokens", {
    name: "Rotated",
    team_id: "automation",
    scopes: ["demo"],
    expires_days: 30,
  });
  assert.equal((await call(token)).status, 200);
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", `/tokens/${id}`);
  await page.getByRole("heading", { name: "Rotated" }).waitFor();

  await page.getByRole("button", { name: "Rotate" }).click();
  await dialog(page).getByRole("button", { name: "Rotate" }).click();
  const fresh = await secret(page).textContent();
  assert.notEqual(fresh, token);
  await page.getByRole("button", { name: "Copy the token" }).click();
  await dialog(page).getByRole("button", { name: "Done" }).click();
  assert.equal((await call(fresh)).status, 200);
  assert.equal((await call(token)).status, 200, "within its grace");
  const secrets = page.getByRole("table", { name: "Secrets" });
  await secrets.getByText("With the token").waitFor();
  assert.equal(await secrets.getByRole("row").count(), 3, "head and two secrets");
  // The secret that is still in use shows by itself, without a click.
  await secrets.getByText("Not yet").first().waitFor({ state: "detached", timeout: 20_000 });
  assert.equal(await secrets.getByText(/ago|now/).count(), 2, await secrets.innerText());

  const more = async (name) => {
    await page.getByRole("button", { name: "More actions" }).click();
    await page.getByRole("button", { name, exact: true }).click();
  };
  await more("Disable");
  await dialog(page)
    .getByText(/would now be refused/)
    .waitFor();
  await dialog(page).getByRole("button", { name: "Disable" }).click();
  await page.getByText("Disabled", { exact: true }).waitFor();
  await more("Enable");
  await page.getByText("Active", { exact: true }).waitFor();
  await more("Extend");
  await dialog(page).getByText("New expiry:").waitFor();
  await dialog(page).getByRole("button", { name: "Extend" }).click();
  await dialog(page).waitFor({ state: "detached" });

  await more("Revoke");
  await dialog(page)
    .getByText(/^3 calls in the last 30 days/)
    .waitFor();
  await dialog(page).getByText("/api/demo", { exact: true }).waitFor();
  await dialog(page).getByRole("button", { name: "Revoke" }).click();
  await page.getByText("Revoked", { exact: true }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Edit" }).count(), 0, "a revoked token has no actions");
  await eventually(async () => (await call(fresh)).status === 401, 40_000, "the gateway refusing the token");
  assertNoProblems(page);
  await page.context().close();
});

test("if two windows save, the second is warned and nothing is lost", async () => {
  const { id } = await system.call("manager", "POST", "/api/tokens", {
    name: "Both",
    team_id: "automation",
    scopes: ["demo"],
    expires_days: 30,
  });
  const [first, second] = await Promise.all([openPage(browser, system), openPage(browser, system)]);
  await signIn(first, system, "manager", `/tokens/${id}`);
  await signIn(second, system, "admin", `/tokens/${id}`);
  for (const page of [first, second]) {
    await page.getByRole("button", { name: "Edit" }).click();
    await dialog(page).getByLabel("Description").waitFor();
  }
  await dialog(first).getByLabel("Name").fill("First");
  await dialog(first).getByRole("button", { name: "Save" }).click();
  await first.getByRole("heading", { name: "First" }).waitFor();
  await dialog(second).getByLabel("Name").fill("Second");
  await dialog(second).getByRole("button", { name: "Save" }).click();
  await dialog(second).getByText("Someone else changed this", { exact: true }).waitFor();
  assert.equal((await system.call("admin", "GET", `/api/tokens/${id}`)).name, "First");
  await Promise.all([first.context().close(), second.context().close()]);
});

test("the tester in the browser agrees with the server", async () => {
  const { id } = await system.call("manager", "POST", "/api/tokens", {
    name: "Tested",
    team_id: "automation",
    scopes: ["GET /api/openai/*"],
    expires_days: 30,
  });
  const page = await openPage(browser, system);
  await signIn(page, system, "viewer", `/tokens/${id}`);
  const path = page.getByLabel("Path", { exact: true });
  assert.equal(await path.inputValue(), "/api/openai/example", "a call that the token may make");
  for (const [asked, verdict] of [
    ["/api/openai/models", "Allowed"],
    ["/api/demo/x", "Denied"],
    ["/nowhere", "Denied"],
  ]) {
    await path.fill(asked);
    await page.getByText(verdict, { exact: true }).waitFor();
    await page.getByRole("button", { name: "Check with the server" }).click();
    await page.getByText("Server agrees.").waitFor();
  }
  assert.equal(await page.getByRole("button", { name: "Edit" }).count(), 0, "a viewer changes nothing");
  assertNoProblems(page);
  await page.context().close();
});

test("filters and sort order survive reload and Back", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/tokens?state=revoked&sort=name");
  await page.getByRole("link", { name: "Rotated" }).waitFor();
  assert.equal(await page.getByRole("combobox", { name: "State" }).inputValue(), "revoked");
  await page
    .getByRole("searchbox", { name: "Search by name, ID or first characters" })
    .fill("nothing like it");
  await page.getByText("No token matches the filters").waitFor();
  assert.match(page.url(), /search=nothing/);
  await page.reload();
  await page.getByText("No token matches the filters").waitFor();
  await page.getByRole("searchbox", { name: "Search by name, ID or first characters" }).fill("");
  await page.getByRole("link", { name: "Rotated" }).click();
  await page.getByRole("heading", { name: "Rotated" }).waitFor();
  await page.goBack();
  await page.getByRole("link", { name: "Rotated" }).waitFor();
  assert.match(page.url(), /state=revoked/);
  assertNoProblems(page);
  await page.context().close();
});

test("by keyboard alone: sign in, make a token, keep it", async () => {
  const page = await openPage(browser, system);
  /** Presses Tab until the focused element is called `name`. */
  const tabTo = async (name) => {
    for (let i = 0; i < 80; i++) {
      await page.keyboard.press("Tab");
      const found = await page.evaluate(() => {
        const element = /** @type {HTMLInputElement} */ (document.activeElement);
        return element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent;
      });
      if (found.trim().startsWith(name)) return;
    }
    throw new Error(`${name} cannot be reached by Tab`);
  };
  await page.goto(`${system.urls.ui}/tokens`);
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  await tabTo("Sign in");
  await page.keyboard.press("Enter");
  await page.locator('button[value="developer"]').focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Tokens" }).waitFor();
  await tabTo("Create token");
  await page.keyboard.press("Enter");
  await dialog(page).waitFor();
  await tabTo("Name");
  await page.keyboard.type("By keyboard");
  await tabTo("demo");
  await page.keyboard.press("Space");
  await page.keyboard.press("Enter");
  await secret(page).waitFor();
  // The button that copies has the focus.
  await page.keyboard.press("Enter");
  await tabTo("Done");
  await page.keyboard.press("Enter");
  await dialog(page).waitFor({ state: "detached" });
  await page.getByRole("link", { name: "By keyboard" }).waitFor();
  assertNoProblems(page);
  await page.context().close();
});

test("limits are set on a token, in dollars too, and their use is shown", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "manager", "/tokens");
  await page.getByRole("button", { name: "Create token" }).click();
  const form = dialog(page);
  await form.getByLabel("Name").fill("Limited");
  await form.getByLabel("demo", { exact: true }).check();
  assert.ok(!(await form.getByLabel("Calls per minute").isVisible()), "closed until something is set");
  await form.getByText("Limits", { exact: true }).click();
  await form.getByLabel("Calls per minute").fill("10");
  await form.getByLabel("Spend per day (US$)").fill("zero");
  await form.getByRole("button", { name: "Create token" }).click();
  await form.getByText(/must be more than 0/).waitFor();
  await form.getByLabel("Spend per day (US$)").fill("2.5");
  await form.getByLabel("Fault injection (testing only)").check();
  await form.getByLabel("Can derive tokens").check();
  await form.getByRole("button", { name: "Create token" }).click();
  const token = await secret(page).textContent();
  await page.getByRole("button", { name: "Copy the token" }).click();
  await dialog(page).getByRole("button", { name: "Done" }).click();
  const { id, limits, inject_faults, may_derive } = (
    await system.call("manager", "GET", "/api/tokens?search=Limited")
  ).items[0];
  assert.deepEqual(
    [limits, inject_faults, may_derive],
    [{ calls_per_minute: 10, cost_micros_per_day: 2_500_000 }, true, true],
  );

  await eventually(async () => (await call(token)).status === 200, 40_000, "a call");
  await page.goto(`${system.urls.ui}/tokens/${id}`);
  await page.getByText("1 of 10").waitFor();
  await page.getByText("$0.00 of $2.50").waitFor();
  await page.getByRole("heading", { name: "Derived tokens" }).waitFor();
  await page.getByText(/curl -X POST '.*\/token' -H "X-API-Key: \$TOKEN" .*'scope=demo'/).waitFor();
  assert.equal(await page.getByRole("meter", { name: "Calls per minute" }).getAttribute("value"), "1");
  await page.getByRole("button", { name: "Edit" }).click();
  assert.equal(await form.getByLabel("Spend per day (US$)").inputValue(), "2.5");
  await form.getByLabel("Spend per day (US$)").fill("");
  await form.getByLabel("Concurrent calls").fill("3");
  await form.getByRole("button", { name: "Save" }).click();
  await form.waitFor({ state: "detached" });
  await page.getByText("0 of 3").waitFor();
  assert.deepEqual((await system.call("manager", "GET", `/api/tokens/${id}`)).limits, {
    calls_per_minute: 10,
    concurrent_calls: 3,
  });
  assertNoProblems(page);
  await page.context().close();
});

test("the first team is chosen even if the teams arrive after the form has opened", async () => {
  const page = await openPage(browser, system);
  /** @type {any} */
  let release;
  const released = new Promise((resolve) => (release = resolve));
  await page.route(/\/api\/teams\?/, async (route) => {
    await released;
    await route.continue();
  });
  await signIn(page, system, "manager", "/tokens");
  await page.getByRole("button", { name: "Create token" }).click();
  const form = dialog(page);
  await form.getByLabel("Name").fill("Early");
  await form.getByLabel("demo", { exact: true }).check();
  const create = form.getByRole("button", { name: "Create token" });
  assert.ok(await create.isDisabled(), "there is no team to choose");
  release();
  await create.click();
  await secret(page).waitFor();
  assert.equal(
    (await system.call("manager", "GET", "/api/tokens?search=Early")).items[0].team_id,
    "automation",
  );
  assertNoProblems(page);
  await page.context().close();
});

test("a team's limits are shown if a token has none of its own", async () => {
  const page = await openPage(browser, system);
  await signIn(page, system, "admin", "/teams/automation");
  await page.getByRole("button", { name: "Edit" }).click();
  await dialog(page).getByText("Limits", { exact: true }).click();
  await dialog(page).getByLabel("Calls per day").fill("500");
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await dialog(page).waitFor({ state: "detached" });
  await page.getByText("Calls per day: 500").waitFor();
  await page.goto(`${system.urls.ui}/tokens`);
  await page.getByRole("button", { name: "Create token" }).click();
  await dialog(page).getByLabel("Team").selectOption("automation");
  await dialog(page).getByText("Limits", { exact: true }).click();
  assert.equal(
    await dialog(page).getByLabel("Calls per day").getAttribute("placeholder"),
    "500 (team default)",
  );
  await system.call("admin", "PUT", "/api/teams/automation", { limits: null });
  assertNoProblems(page);
  await page.context().close();
});
