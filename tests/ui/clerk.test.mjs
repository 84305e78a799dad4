// Sign-in with Clerk's published scripts, against a stand-in for Clerk's Frontend API.
import assert from "node:assert/strict";
import { test } from "node:test";
import { publishableKey, startClerkFrontend } from "../../local/clerk-frontend.mjs";
import { ensureClerkScripts } from "../../scripts/setup.mjs";
import { eventually, sleep } from "../support/harness.mjs";
import { browser, endSession, openPage, system, useUi } from "../support/ui.mjs";

const HOST = "clerk.token-manager.test";
const PASSWORD = "correct horse battery";
let packages;
useUi(
  async () => {
    packages = await ensureClerkScripts();
  },
  { clerkKey: publishableKey(HOST) },
);

/** Opens a page whose calls to Clerk's host reach a stand-in of its own. */
async function open(more = {}, pageOptions = {}) {
  const users = { "admin@example.test": { id: "user_admin", password: PASSWORD, name: "Ada Admin" } };
  const clerk = await startClerkFrontend({
    origin: system.urls.ui,
    users,
    packages,
    sign: (user, claims) => system.issuer.sign(user, { claims, expiresIn: 60 }),
    ...more,
  });
  const page = await openPage(browser, system, pageOptions);
  page.violations = [];
  page.on("console", (message) => {
    if (/Content Security Policy/.test(message.text())) page.violations.push(message.text());
  });
  await page.route(`https://${HOST}/**`, async (route) => {
    const url = new URL(route.request().url());
    await route.fulfill({ response: await route.fetch({ url: clerk.url + url.pathname + url.search }) });
  });
  return { page, clerk, close: async () => (await page.context().close(), clerk.stop()) };
}

async function signIn(page) {
  await page.getByLabel("Email address").fill("admin@example.test");
  const password = page.getByRole("textbox", { name: "Password" });
  if (!(await password.isVisible()))
    await page.getByRole("button", { name: "Continue", exact: true }).click();
  await password.fill(PASSWORD);
  await page.getByRole("button", { name: "Continue", exact: true }).click();
}

test(
  "after signing in with Clerk people are back on their page, and every call has a token",
  { timeout: 120_000 },
  async () => {
    const { page, clerk, close } = await open();
    const authorizations = [];
    page.on("request", (request) => {
      if (request.url().startsWith(`${system.urls.api}/api/`) && request.method() === "GET")
        authorizations.push(request.headers().authorization);
    });
    await page.goto(`${system.urls.ui}/teams?x=1`);
    await signIn(page);
    await page.getByRole("heading", { name: "Teams", level: 1 }).waitFor();
    assert.match(page.url(), /\/teams/);
    await page
      .getByRole("navigation", { name: "Main navigation" })
      .getByRole("link", { name: "Routes" })
      .click();
    await page.getByRole("heading", { name: "Routes", level: 1 }).waitFor();
    assert.ok(authorizations.length > 2 && authorizations.every((value) => /^Bearer ey/.test(value)));
    assert.deepEqual(
      await page.evaluate(() => Object.keys(sessionStorage).filter((key) => key === "session")),
      [],
      "Clerk's tokens are not kept",
    );
    await page.reload();
    await page.getByRole("heading", { name: "Routes", level: 1 }).waitFor();
    assert.deepEqual(page.violations, []);
    assert.ok(clerk.state.requests.includes("POST /client/sign_ins"));
    await close();
  },
);

test("sign-out ends Clerk's session and shows the form again", { timeout: 120_000 }, async () => {
  const { page, clerk, close } = await open();
  await page.goto(`${system.urls.ui}/teams`);
  await signIn(page);
  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("button", { name: "Manage account" }).click();
  await page.getByText("Profile details").first().waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Email address").waitFor();
  await eventually(
    () => clerk.state.requests.some((asked) => /remove|end|DELETE/.test(asked)),
    5_000,
    "Clerk being told",
  );
  await page.reload();
  await page.getByLabel("Email address").waitFor();
  await close();
});

test(
  "while Clerk has not decided on a session, no call goes out without a token",
  { timeout: 120_000 },
  async () => {
    const { page, close } = await open();
    await page.goto(`${system.urls.ui}/teams`);
    await signIn(page);
    await page.getByRole("heading", { name: "Teams", level: 1 }).waitFor();
    await page.waitForLoadState("networkidle");
    await page.evaluate(() => {
      const clerk = /** @type {any} */ (globalThis).Clerk;
      const { session } = clerk;
      const listeners = [];
      let isDecided = false;
      Object.defineProperty(clerk, "session", { get: () => (isDecided ? session : undefined) });
      clerk.addListener = (listener) => (listeners.push(listener), () => {});
      /** @type {any} */ (globalThis).decide = () => {
        isDecided = true;
        for (const listener of listeners) listener({ session });
      };
    });
    const authorizations = [];
    page.on("request", (request) => {
      if (request.url().startsWith(`${system.urls.api}/api/`) && request.method() === "GET")
        authorizations.push(request.headers().authorization);
    });
    await page
      .getByRole("navigation", { name: "Main navigation" })
      .getByRole("link", { name: "Routes" })
      .click();
    await sleep(1_000);
    assert.deepEqual(authorizations, []);
    await page.evaluate(() => /** @type {any} */ (globalThis).decide());
    await page.getByRole("heading", { name: "Routes", level: 1 }).waitFor();
    await eventually(() => authorizations.length > 0);
    assert.ok(authorizations.every((value) => /^Bearer ey/.test(value)));
    await close();
  },
);

test("a session that Clerk has ended leads to its form, which says so", { timeout: 120_000 }, async () => {
  const { page, close } = await open();
  await page.goto(`${system.urls.ui}/teams`);
  await signIn(page);
  await page.getByRole("heading", { name: "Teams", level: 1 }).waitFor();
  await endSession(page, system);
  await page.getByText("Your session has ended.").waitFor();
  await page.getByLabel("Email address").waitFor();
  await close();
});

test(
  "a wrong password is refused, and accounts can be made only if the instance allows it",
  { timeout: 120_000 },
  async () => {
    for (const signUp of [false, true]) {
      const { page, clerk, close } = await open({ signUp });
      await page.goto(`${system.urls.ui}/sign-in`);
      await page.getByLabel("Email address").fill("stranger@example.test");
      const password = page.getByRole("textbox", { name: "Password" });
      if (await password.isVisible()) await password.fill(PASSWORD);
      await page.getByRole("button", { name: "Continue", exact: true }).click();
      await eventually(
        () => clerk.state.requests.includes("POST /client/sign_ins"),
        10_000,
        "Clerk being asked",
      );
      await page
        .getByText(signUp ? "Create your account" : "Couldn't find your account.")
        .first()
        .waitFor();
      await close();
    }
    const { page, close } = await open();
    await page.goto(`${system.urls.ui}/sign-in`);
    await page.getByLabel("Email address").fill("admin@example.test");
    const password = page.getByRole("textbox", { name: "Password" });
    if (!(await password.isVisible()))
      await page.getByRole("button", { name: "Continue", exact: true }).click();
    await password.fill("wrong");
    await page.getByRole("button", { name: "Continue", exact: true }).click();
    await page
      .getByText(/Password is incorrect/)
      .first()
      .waitFor();
    await close();
  },
);

test(
  "the page says that Clerk cannot be reached, and offers to try again",
  { timeout: 120_000 },
  async () => {
    const { page, clerk, close } = await open();
    clerk.state.isAway = true;
    await page.goto(`${system.urls.ui}/teams`);
    await page.getByText("Can't reach the server", { exact: true }).waitFor();
    clerk.state.isAway = false;
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByLabel("Email address").waitFor();
    await close();
  },
);
