// The OpenAPI document in other people's tools: two linters, and a client generated from it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { root } from "../../scripts/setup.mjs";
import { as, startOnSockets } from "../support/harness.mjs";

const DOCUMENT = path.join(root, "admin-api/openapi/openapi.json");
const folder = mkdtempSync(path.join(tmpdir(), "openapi-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a command of an npm package. Returns its exit code and its whole output. */
function tool(name, ...args) {
  const command = path.join(root, "node_modules/.bin", name);
  const env = {
    ...process.env,
    REDOCLY_TELEMETRY: "off",
    REDOCLY_SUPPRESS_UPDATE_NOTICE: "true",
    NO_COLOR: "1",
  };
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: folder,
    env,
    encoding: "utf8",
    timeout: 120_000,
  });
  return { status, output: stdout + stderr };
}

test("redocly finds neither an error nor a warning", () => {
  const { status, output } = tool("redocly", "lint", DOCUMENT);
  assert.equal(status, 0, output);
  assert.doesNotMatch(output, /\d+ warnings?/, output);
});

test("spectral's OpenAPI rules find nothing", () => {
  writeFileSync(path.join(folder, "rules.yaml"), 'extends: ["spectral:oas"]\n');
  const { status, output } = tool(
    "spectral",
    "lint",
    DOCUMENT,
    "--ruleset",
    path.join(folder, "rules.yaml"),
    "--fail-severity",
    "hint",
  );
  assert.equal(status, 0, output);
});

let system;
before(async () => (system = await startOnSockets()));
after(() => system?.stop());

test(
  "the API's responses have the types of a client that openapi-typescript generates",
  { timeout: 180_000 },
  async () => {
    assert.equal(tool("openapi-typescript", DOCUMENT, "--output", "client.ts").status, 0);
    const made = async (where, body) => (await as(system, "admin", "POST", where, body)).body;
    const token = await made("/api/tokens", {
      name: "t",
      team_id: "automation",
      scopes: ["*"],
      limits: { calls_per_minute: 5 },
    });
    const route = await made("/api/routes", {
      name: "r",
      path: "/api/typed",
      backend_url: `${system.upstream.url}/echo`,
      credential: { kind: "bearer", token: "x" },
    });
    await made("/api/teams", { id: "typed", name: "t", scope_cap: ["typed"] });
    await made("/api/invitations", {
      email: "typed@example.test",
      teams: [{ team_id: "automation", role: "VIEWER" }],
    });
    const key = await made("/api/keys", {
      name: "typed",
      roles: [{ team_id: "automation", role: "VIEWER" }],
    });
    const channel = await made("/api/channels", {
      name: "typed",
      target: { kind: "slack", url: `${system.upstream.url}/echo` },
      events: ["budget"],
    });
    const ids = {
      channels: channel.id,
      keys: key.id,
      tokens: token.id,
      routes: route.id,
      teams: "automation",
      token: token.id,
      team: "automation",
    };
    const document = await (await system.call("/openapi.json")).json();
    let source = 'import type { paths } from "./client";\n';
    let count = 0;
    for (const [pattern, methods] of Object.entries(document.paths)) {
      const content = methods.get?.responses["200"].content["application/json"];
      if (!content || /\{(?!id\})|usage\/(me|test-data)|usage\/route$/.test(pattern)) continue;
      const where = pattern.replace("{id}", ids[pattern.split("/").at(-2)] ?? ids[pattern.split("/").at(2)]);
      const { status, body } = await as(system, "admin", "GET", where);
      assert.equal(status, 200, where);
      source += `export const r${count++}: paths[${JSON.stringify(pattern)}]["get"]["responses"][200]["content"]["application/json"] = ${JSON.stringify(body)};\n`;
    }
    source += `export const made: paths["/api/tokens"]["post"]["responses"][201]["content"]["application/json"] = ${JSON.stringify(token)};\n`;
    const flags = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "preserve"];
    writeFileSync(path.join(folder, "responses.ts"), source);
    const checked = tool("tsc", ...flags, "responses.ts");
    assert.equal(checked.status, 0, checked.output);
    assert.ok(count > 20, `only ${count} endpoints were compared`);
    // The same check refuses a response that the document does not describe.
    writeFileSync(path.join(folder, "wrong.ts"), source.replaceAll('"name":"t"', '"name":1'));
    assert.notEqual(tool("tsc", ...flags, "wrong.ts").status, 0);
  },
);
