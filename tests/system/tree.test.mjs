// What must hold of the tree itself.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { root } from "../../scripts/setup.mjs";

const tracked = execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" }).trim().split("\n");
const holding = (pattern, files = tracked) => files.filter((file) => pattern.test(readFileSync(path.join(root, file), "latin1")));

/** Parity fault 12: hosts were written into eleven components. */
test("the hosts of production stand in configuration and documents alone", () => {
  const elsewhere = holding(/blocktempo/).filter((file) => !/^(wrangler\.toml|admin-ui\/public\/|docs\/|README\.md|tests\/system\/tree)/.test(file));
  assert.deepEqual(elsewhere, []);
});

test("no token, private key or key file is in the tree", () => {
  // The golden token of the format's test is under the key 0x01…01, which nobody uses.
  const golden = /ntk_ehv1hsdOHPxDuX3xn9YyIKbgl4yJuySCWzdimD4heup7j1abW/g;
  // AWS's own example key, in the tests of its signature.
  const example = /AKIAIOSFODNN7EXAMPLE/g;
  // Seeds of the fuzzing have a token's form and one letter.
  const oneLetter = /ntk_(.)\1{42,}/g;
  const suspicious = tracked.filter((file) => {
    const text = readFileSync(path.join(root, file), "latin1").replace(golden, "").replace(example, "").replace(oneLetter, "");
    return /ntk_[0-9A-Za-z_-]{43}|-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9]|sk-[A-Za-z0-9]{32}|AKIA[0-9A-Z]{16}/.test(text);
  });
  assert.deepEqual(suspicious, []);
  assert.deepEqual(tracked.filter((file) => /(^|\/)\.dev\.vars$|\.pem$/.test(file)), []);
});

test("every SQL file of the admin API is used", () => {
  const sources = tracked.filter((file) => file.startsWith("admin-api/src/") && file.endsWith(".rs")).map((file) => readFileSync(path.join(root, file), "utf8")).join("");
  const unused = tracked.filter((file) => file.startsWith("admin-api/src/db/queries/")).filter((file) => !sources.includes(path.basename(file, ".sql")));
  assert.deepEqual(unused, []);
});
