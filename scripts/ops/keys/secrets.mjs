// The Workers' secrets: which there are, and the operator's own copy of those that are made here.
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root } from "../../setup.mjs";
import { fingerprints } from "./fingerprint.mjs";
import { Stop, WORKERS } from "../stage/stage.mjs";

/** Made at random, by the Workers that have them. */
export const KEYS = { TOKEN_CHECK_KEY: WORKERS, CREDENTIAL_KEY: WORKERS, USAGE_LOG_KEY: ["admin-api"] };
/** Made by Clerk, for the admin API alone; each is set where the environment has it. */
export const CLERK = ["CLERK_SECRET_KEY", "CLERK_WEBHOOK_SECRET", "CLERK_JWT_KEY"];

/** 256 random bits in base64. */
export const newKey = () => randomBytes(32).toString("base64");

/** Ignored by git. Cloudflare never shows a secret again, so this is the only copy until it lies in a vault. */
export const vaultFile = (stage) => path.join(root, ".secrets", `${stage}.env`);

export function readVault(stage) {
  if (!existsSync(vaultFile(stage))) return {};
  const lines = readFileSync(vaultFile(stage), "utf8")
    .split("\n")
    .filter((line) => line.includes("="));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}

export function writeVault(stage, values) {
  mkdirSync(path.dirname(vaultFile(stage)), { recursive: true, mode: 0o700 });
  writeFileSync(
    vaultFile(stage),
    Object.entries(values)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(""),
    { mode: 0o600 },
  );
}

/**
 * What has to be set, by Worker: `{ gateway: { NAME: value }, … }`. `present` is what `secretsOf` answers, and `known`
 * what the vault's copy, or the environment, has. A key that both Workers share cannot be read back from the one that
 * has it, so where it is missing from one alone its value must be known, and be the one `atWork` there (fingerprints by
 * name, as the admin API notes them): a stale one would refuse every token, or open no credential.
 */
export function missingSecrets(present, known, environment, atWork = {}) {
  const wanted = { gateway: {}, "admin-api": {} };
  for (const [name, workers] of Object.entries(KEYS)) {
    const without = workers.filter((worker) => !present[worker]?.includes(name));
    if (without.length === 0) continue;
    const isShared = without.length < workers.length;
    const value = isShared
      ? sharedValue(name, known[name], environment[name], atWork[name])
      : environment[name] || known[name];
    // Where the admin API was never there, nothing was minted or sealed, and a new key harms nobody.
    if (!value && isShared && present["admin-api"] !== null) {
      throw new Stop(
        `${name} is missing from ${without.join(" and ")} alone, and Cloudflare does not show the other's. Set ${name} in the environment to the value from your vault and run this again.`,
      );
    }
    const key = value ?? newKey();
    for (const worker of value ? without : workers) wanted[worker][name] = key;
  }
  for (const name of CLERK) if (environment[name]) wanted["admin-api"][name] = environment[name];
  return wanted;
}

/** Whether a key is missing from one of several Workers alone, so that what is at work matters. */
export const isHalfSet = (present) =>
  Object.entries(KEYS).some(([name, workers]) => {
    const without = workers.filter((worker) => !present[worker]?.includes(name));
    return without.length > 0 && without.length < workers.length;
  });

function sharedValue(name, vault, environment, atWork) {
  const values = [environment, vault].filter(Boolean);
  if (!atWork) {
    if (new Set(values).size > 1)
      throw new Stop(
        `${name} is one in the environment and another in the vault file, and what is at work is not known: set the right one in both`,
      );
    return values[0];
  }
  const right = values.find((value) => fingerprints(value) === atWork);
  if (values.length > 0 && !right)
    throw new Stop(
      `The ${name} at hand is not the one that is at work (${values.map(fingerprints).join(" and ")} is not ${atWork}): take it from your vault`,
    );
  return right;
}
