// Rules for the tree itself.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { root } from "../../scripts/setup.mjs";

const tracked = execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" }).trim().split("\n");
const holding = (pattern, files = tracked) =>
  files.filter((file) => pattern.test(readFileSync(path.join(root, file), "latin1")));

/** Parity fault 12: hosts were written into eleven components. */
test("production hosts appear only in configuration and documents", () => {
  const elsewhere = holding(/blocktempo/).filter(
    (file) => !/^(wrangler\.toml|admin-ui\/public\/|docs\/|README\.md|tests\/repo\/tree)/.test(file),
  );
  assert.deepEqual(elsewhere, []);
});

/** Patterns of secrets that could slip in here: ours, our vendors', and those that scanners know. */
const SECRETS = {
  "token of ours": /\bntk_[0-9A-Za-z_-]{43,}/g,
  "private key": /-----BEGIN [A-Z ]*PRIVATE KEY-----\s*[A-Za-z0-9+/]/g,
  "AWS access key": /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g,
  "OpenAI or Anthropic key": /\bsk-[A-Za-z0-9_-]{32,}/g,
  "Clerk or Stripe key": /\b[sr]k_(?:live|test)_[A-Za-z0-9]{20,}/g,
  "webhook secret": /\bwhsec_[A-Za-z0-9+/=]{24,}/g,
  "GitHub token": /\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_[A-Za-z0-9_]{40,}/g,
  "Slack token": /\bxox[abprs]-[A-Za-z0-9-]{20,}/g,
  "Google key": /\bAIza[0-9A-Za-z_-]{35}/g,
  "npm token": /\bnpm_[A-Za-z0-9]{36}/g,
  JWT: /\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}/g,
};

/** Texts that match a pattern and are known to open nothing. */
const HARMLESS = [
  // The golden token of the format's test is under the key 0x01…01, which nobody uses.
  /^ntk_ehv1hsdOHPxDuX3xn9YyIKbgl4yJuySCWzdimD4heup7j1abW$/,
  // Seeds of the fuzzing have a token's form and one letter.
  /^ntk_(.)\1{42,}$/,
  // The examples in AWS's and Svix's own documents, in the tests of their signatures.
  /^AKIAIOSFODNN7EXAMPLE$/,
  /^whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw$/,
];

/** The kinds of secret in a text. */
function secretsIn(text) {
  const holds = ([, pattern]) =>
    [...text.matchAll(pattern)].some(([found]) => !HARMLESS.some((known) => known.test(found)));
  return Object.entries(SECRETS)
    .filter(holds)
    .map(([kind]) => kind);
}

test("no secret and no key file is in the tree", () => {
  const found = tracked.flatMap((file) =>
    secretsIn(readFileSync(path.join(root, file), "latin1")).map((kind) => `${file}: ${kind}`),
  );
  assert.deepEqual(found, []);
  assert.deepEqual(
    tracked.filter((file) => /(^|\/)\.dev\.vars$|\.(pem|p12|pfx|key)$/.test(file)),
    [],
  );
});

test("no secret was ever committed", () => {
  const log = ["log", "--patch", "--unified=0", "--no-color", "--no-ext-diff", "--text"];
  const history = execFileSync("git", log, { cwd: root, encoding: "latin1", maxBuffer: 1 << 30 });
  assert.deepEqual(secretsIn(history.replace(/^[+-]/gm, "")), []);
});

test("the scan finds a planted secret of every kind", () => {
  const letters = "Ab3dEf6hIj9lMn2pQr5tUv8xYz1BcD4fGh7jKl0nOp3rSt6vWx9z";
  const planted = {
    "token of ours": `ntk_${letters.slice(0, 49)}`,
    "private key": `-----BEGIN RSA ${"PRIVATE"} KEY-----\nMII`,
    "AWS access key": `AKIA${letters.slice(0, 16).toUpperCase()}`,
    "OpenAI or Anthropic key": `sk-proj-${letters}`,
    "Clerk or Stripe key": `sk_live_${letters}`,
    "webhook secret": `whsec_${letters}`,
    "GitHub token": `ghp_${letters.slice(0, 36)}`,
    "Slack token": `xoxb-${letters}`,
    "Google key": `AIza${letters.slice(0, 35)}`,
    "npm token": `npm_${letters.slice(0, 36)}`,
    JWT: `eyJ${letters}.eyJ${letters}.${letters}`,
  };
  assert.deepEqual(Object.keys(planted), Object.keys(SECRETS));
  for (const [kind, secret] of Object.entries(planted))
    assert.deepEqual(secretsIn(`KEY="${secret}"\n`), [kind], kind);
});

test("every SQL file of the admin API is used", () => {
  const sources = tracked
    .filter((file) => file.startsWith("admin-api/src/") && file.endsWith(".rs"))
    .map((file) => readFileSync(path.join(root, file), "utf8"))
    .join("");
  const unused = tracked
    .filter((file) => file.startsWith("admin-api/src/db/queries/"))
    .filter((file) => !sources.includes(path.basename(file, ".sql")));
  assert.deepEqual(unused, []);
});
