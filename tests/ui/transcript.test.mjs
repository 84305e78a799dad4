// The main journey as a screen reader meets it: by the accessibility tree.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertNoProblems, browser, openPage, settle, signIn, system, useUi } from "../support/ui.mjs";

useUi();

const NAMED =
  "button|link|textbox|searchbox|combobox|checkbox|radio|spinbutton|dialog|alertdialog|table|heading|navigation|search|listbox|img";

/** Returns what makes no sense when it is read aloud: things without a name, and titles that skip a level. */
function nonsense(tree) {
  const lines = tree.split("\n");
  const unnamed = lines.filter((line) => new RegExp(`^\\s*- (${NAMED})( \\[[^\\]]*\\])*:?$`).test(line));
  const levels = lines.map((line) => Number(/- heading ".*" \[level=(\d)\]/.exec(line)?.[1])).filter(Boolean);
  const skipped = levels.filter((level, at) => at > 0 && level > levels[at - 1] + 1);
  return [...unnamed.map((line) => line.trim()), ...skipped.map((level) => `a title of level ${level}`)];
}

/** Asserts that the texts are read aloud in this order. */
function assertOrder(tree, texts) {
  let at = 0;
  for (const text of texts) {
    const found = tree.indexOf(text, at);
    assert.ok(
      found >= 0,
      `“${text}” is not read after “${tree.slice(Math.max(0, at - 60), at)}” in\n${tree}`,
    );
    at = found + text.length;
  }
}

test("the way to the first call makes sense when it is read aloud", async () => {
  const page = await openPage(browser, system);
  const heard = async (locator, texts) => {
    await settle(page);
    const tree = await locator.ariaSnapshot();
    assert.deepEqual(nonsense(tree), [], tree);
    assertOrder(tree, texts);
  };
  await signIn(page, system, "admin", "/dashboard");
  await page.getByRole("heading", { name: "Make your first call" }).waitFor();
  await heard(page.locator("body"), [
    'link "Skip to content"',
    "banner",
    'button "Show or hide the navigation"',
    'navigation "Main navigation"',
    'heading "Home" [level=1]',
    'heading "Make your first call" [level=2]',
    'heading "Connect an upstream" [level=3]',
    'button "OpenAI"',
    'heading "Create a token" [level=3]',
    'heading "Call it" [level=3]',
  ]);
  await page.getByRole("button", { name: "Your own service" }).click();
  const dialog = page.getByRole("dialog");
  await heard(dialog, [
    'heading "Create route"',
    'textbox "Name"',
    'textbox "Path"',
    'textbox "Upstream URL"',
    'button "Cancel"',
  ]);
  await page.keyboard.press("Escape");
  await system.addRoute("Echo", "/api/demo", "/echo");
  await page.goto(`${system.urls.ui}/tokens`);
  await page.getByText("There are no tokens yet").waitFor();
  await heard(page.locator("main"), [
    'heading "Tokens" [level=1]',
    'button "Create token"',
    'search "Filters"',
    "There are no tokens yet",
  ]);
  await page.getByRole("button", { name: "Create token" }).click();
  await heard(dialog, [
    'heading "Create token"',
    'textbox "Name"',
    'combobox "Team"',
    'button "Create token"',
  ]);
  await dialog.getByLabel("Name").fill("Digest");
  await dialog.getByLabel("demo", { exact: true }).check();
  await dialog.getByRole("button", { name: "Create token" }).click();
  await dialog.getByRole("button", { name: "Copy the token" }).waitFor();
  await heard(dialog, ['heading "Save your token"', 'button "Copy the token"', 'button "Done"']);
  await dialog.getByRole("button", { name: "Copy the token" }).click();
  await dialog.getByRole("button", { name: "Done" }).click();
  await page.getByRole("link", { name: "Digest" }).click();
  await page.getByRole("heading", { name: "Digest", level: 1 }).waitFor();
  await heard(page.locator("main"), [
    'link "Tokens"',
    'heading "Digest" [level=1]',
    'button "Edit"',
    'heading "Token" [level=2]',
    "Active",
    'heading "Limits" [level=2]',
    'heading "Secrets" [level=2]',
    'heading "Test access" [level=2]',
  ]);
  await page.goto(`${system.urls.ui}/calls`);
  await heard(page.locator("main"), [
    'heading "Calls" [level=1]',
    'button "Live"',
    'combobox "Time range"',
    'combobox "Token"',
    'button "Filters"',
  ]);
  assertNoProblems(page);
  await page.context().close();
});
