// The headers of Pages: scripts that may run, hosts that may be called, and caching.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { publishableKey } from "../../local/clerk-frontend.mjs";
import { headers, policy } from "../../scripts/build/headers.mjs";
import { root } from "../../scripts/setup.mjs";

const config = {
  api: "https://api.example",
  gateway: "https://gw.example",
  issuer: "https://issuer.example",
};
const directives = (text) =>
  Object.fromEntries(text.split("; ").map((part) => [part.split(" ")[0], part.split(" ").slice(1)]));

test("without Clerk no script of another host may run, and only the API and the gateway may be called", () => {
  const own = directives(policy({ ...config, clerk_publishable_key: "" }));
  assert.deepEqual(own["script-src"], ["'self'", "'wasm-unsafe-eval'"]);
  assert.deepEqual(own["connect-src"], ["'self'", "https://api.example", "https://gw.example"]);
  assert.deepEqual(own["style-src"], ["'self'"]);
  assert.deepEqual(own["default-src"], ["'none'"]);
  assert.equal(own["frame-src"], undefined);
});

test("with a publishable key Clerk's hosts are allowed, inline scripts never", () => {
  const clerk = directives(policy({ ...config, clerk_publishable_key: publishableKey("clerk.example") }));
  for (const name of ["script-src", "connect-src"])
    assert.ok(clerk[name].includes("https://clerk.example"), name);
  assert.ok(clerk["img-src"].includes("https://img.clerk.com"));
  assert.deepEqual(clerk["worker-src"], ["'self'", "blob:"]);
  assert.ok(
    !clerk["script-src"].some(
      (source) => /unsafe-inline|unsafe-eval'$/.test(source) && source !== "'wasm-unsafe-eval'",
    ),
  );
});

test("a key that is not Clerk's, or names more than a host, is refused", () => {
  const key = (host) => `pk_live_${Buffer.from(host).toString("base64")}`;
  for (const bad of [
    "sk_live_abc",
    "pk_live_",
    key("clerk.example"),
    key("a.example; script-src *$"),
    key("a.example/x$"),
  ]) {
    assert.throws(() => policy({ ...config, clerk_publishable_key: bad }), /clerk_publishable_key/, bad);
  }
});

test("a file with a hash in its name is cached indefinitely, any other is fetched again", () => {
  const text = headers(config, [
    "program-0123456789abcdef",
    "boot-0123456789abcdef.js",
    "style-0123456789abcdef.css",
    "index.html",
    "config.json",
  ]);
  const rules = text
    .split("\n\n")
    .filter((rule) => rule.includes("immutable"))
    .map((rule) => rule.trim().split("\n")[0]);
  assert.deepEqual(rules, [
    "/assets/*",
    "/program-0123456789abcdef/*",
    "/boot-0123456789abcdef.js",
    "/style-0123456789abcdef.css",
  ]);
  assert.match(text, /\/config\.json\n {2}Cache-Control: no-store/);
});

test("the build has the headers of its own config.json", () => {
  const dist = path.join(root, "admin-ui/dist");
  const built = readFileSync(path.join(dist, "_headers"), "utf8");
  assert.ok(built.includes(policy(JSON.parse(readFileSync(path.join(dist, "config.json"), "utf8")))));
});
