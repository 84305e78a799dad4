// Passed test runs and their inputs: a run whose inputs have not changed is not repeated (`npm test -- --again` and CI
// repeat it anyway).
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root } from "../setup.mjs";

const file = path.join(root, ".wrangler/stamps/passed.json");

/** A digest of every file that git tracks or would add, and of the tools that run them. */
export function digestOfTree() {
  const git = (...args) => execFileSync("git", args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 26 });
  const hash = createHash("sha256")
    .update(process.version)
    .update(execFileSync("rustc", ["-V"], { cwd: root }));
  for (const name of git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    .split("\0")
    .filter(Boolean)
    .sort()) {
    const whole = path.join(root, name);
    hash
      .update(name)
      .update("\0")
      .update(existsSync(whole) ? readFileSync(whole) : "")
      .update("\0");
  }
  // The documents' scan for secrets reads the history.
  return hash.update(git("rev-parse", "HEAD")).digest("hex");
}

const read = () => (existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {});

/** How many tests of `name` passed on `digest`, and when; undefined if they did not. */
export function passedBefore(name, digest) {
  const known = read()[name];
  return known?.digest === digest ? known : undefined;
}

export function notePassed(name, digest, tests) {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(
    file,
    JSON.stringify({ ...read(), [name]: { digest, tests, at: new Date().toISOString() } }, null, 2),
  );
}
