// Tests the API against its own document with another project's tool.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { ensureSchemathesis } from "../../scripts/setup.mjs";
import { as, startOnSockets } from "../support/harness.mjs";

let system;
before(async () => (system = await startOnSockets()));
after(() => system?.stop());

function run(command, args, options) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
    child.on("close", (code) => resolve({ code, output }));
  });
}

test(
  "schemathesis, signed in as admin: no 5xx, and no response that the document does not describe",
  { timeout: 400_000 },
  async () => {
    const command = await ensureSchemathesis();
    const folder = mkdtempSync(path.join(tmpdir(), "schemathesis-"));
    // Make a record for each parameter.
    const make = async (where, body) => (await as(system, "admin", "POST", where, body)).body.id;
    const ids = {
      tokens: await make("/api/tokens", { name: "t", team_id: "automation", scopes: ["*"] }),
      routes: await make("/api/routes", {
        name: "r",
        path: "/api/tried",
        backend_url: `${system.upstream.url}/echo`,
      }),
      teams: await make("/api/teams", { id: "tried", name: "t" }),
      invitations: await make("/api/invitations", {
        email: "tried@example.test",
        teams: [{ team_id: "automation", role: "VIEWER" }],
      }),
      channels: await make("/api/channels", {
        name: "tried",
        target: { kind: "slack", url: `${system.upstream.url}/echo` },
        events: ["budget"],
      }),
    };
    const found = Object.entries(ids).map(
      ([kind, id]) =>
        `[[operations]]\ninclude-path-regex = "^/api/${kind}/\\\\{id"\nparameters = { "path.id" = "${id}" }\n`,
    );
    found.push(
      `[[operations]]\ninclude-path-regex = "^/api/users/"\nparameters = { "path.uid" = "user_viewer" }\n`,
    );
    found.push(
      `[[operations]]\ninclude-path-regex = "^/api/usage/token/"\nparameters = { "path.id" = "${ids.tokens}" }\n`,
    );
    found.push(
      `[[operations]]\ninclude-path-regex = "^/api/usage/team/"\nparameters = { "path.id" = "automation" }\n`,
    );
    writeFileSync(path.join(folder, "schemathesis.toml"), found.join("\n"));
    const checks =
      "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,negative_data_rejection";
    // Two processes, each for a part of the paths.
    const half = async (option) => {
      const { code, output } = await run(
        command,
        [
          "run",
          option,
          "^/api/(tokens|routes|teams|channels|keys|invitations)",
          `${system.urls.api}/openapi.json`,
          "--header",
          `Authorization: Bearer ${system.jwt("admin", { expiresIn: 3600 })}`,
          "--checks",
          checks,
          "--phases",
          "examples,coverage,fuzzing",
          "--max-examples",
          "40",
          "--seed",
          "20261123",
          "--generation-database",
          "none",
          "--suppress-health-check",
          "all",
          "--request-timeout",
          "20",
          "--no-color",
          "--warnings",
          "off",
          "--continue-on-failure",
        ],
        { cwd: folder, env: { ...process.env, PYTHONUTF8: "1" } },
      );
      assert.equal(code, 0, output.slice(-20_000));
      return Number(/(\d+) generated, \d+ passed/.exec(output)?.[1]);
    };
    const cases = await Promise.all([half("--include-path-regex"), half("--exclude-path-regex")]);
    rmSync(folder, { recursive: true, force: true });
    assert.ok(cases[0] + cases[1] > 2_000 && Math.min(...cases) > 500, cases.join(" and "));
  },
);

test("the page of the document shows every endpoint, and needs no outside resources", async () => {
  const document = await (await system.call("/openapi.json")).json();
  assert.equal(document.openapi, "3.1.0");
  const page = await system.call("/docs");
  assert.match(page.headers.get("content-security-policy"), /default-src 'none'/);
  const html = await page.text();
  for (const methods of Object.values(document.paths)) {
    for (const operation of Object.values(methods))
      assert.ok(html.includes(`<section id="${operation.operationId}">`), operation.operationId);
  }
  assert.ok(!/<script|src=|@import|url\(/.test(html));
});
