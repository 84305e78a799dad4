// `npm run rotate -- CREDENTIAL_KEY [--stage staging]`, or TOKEN_CHECK_KEY or USAGE_LOG_KEY: a new key in place of the
// present one, with no call refused. `--drop-old` then takes the older keys away; for CREDENTIAL_KEY that is part of
// the rotation, since everything is sealed anew. Can be run again where it broke off.
import { operate, pause, waitUntil } from "./operate.mjs";

await operate(import.meta.url, { "drop-old": { type: "boolean", default: false }, force: { type: "boolean", default: false } }, async (options, [name]) => {
  const { Stop } = await import("./deploy/stage.mjs");
  const { open } = await import("./deploy/account.mjs");
  const { KEYS, newKey, readVault, vaultFile, writeVault } = await import("./deploy/secrets.mjs");
  const { dropped, fingerprint, fingerprints, rotation } = await import("./deploy/rotation.mjs");
  const { wrangler } = await import("./deploy/wrangler.mjs");
  rotation(name, "", "");
  const { plan, sql } = await open(options.stage);

  const atWork = async () => JSON.parse((await sql("SELECT value FROM settings WHERE key = 'keys'"))[0]?.value ?? "{}")[name];
  const held = process.env[name] ?? readVault(options.stage)[name];
  if (!held) throw new Stop(`The present ${name} is neither in ${vaultFile(options.stage)} nor in the environment: take it from your vault`);
  const present = await atWork();
  if (!present) throw new Stop("The admin API has not said yet which keys it runs with: its cron does so each minute");
  // With a wrong key in the list nothing that exists could be opened or read any more.
  if (!present.split(",").every((one) => fingerprints(held).split(",").includes(one))) {
    throw new Stop(`The ${name} at hand is not the one that is at work (${fingerprints(held)} is not ${present})`);
  }

  const set = async ({ what, value }) => {
    console.log(`  ${what}`);
    const keep = () => writeVault(options.stage, { ...readVault(options.stage), [name]: value });
    // A new key is kept before it is at work, an old one until it is not: so that this can break off anywhere.
    const isDrop = !value.includes(",");
    if (!isDrop) keep();
    // The gateway first: it only reads what the admin API makes.
    for (const worker of KEYS[name]) await wrangler(["secret", "put", name, "--name", plan.config.env[worker].name], { input: value });
    await waitUntil(async () => ((await atWork()) === fingerprints(value) ? null : "the admin API has still to say that it runs with it (each minute)"));
    if (isDrop) keep();
    // An isolate goes on with what it has until its requests are done.
    await pause(Number(process.env.SETTLE_S ?? 30));
  };

  if (!options["drop-old"]) for (const step of rotation(name, held, newKey())) await set(step);
  else if (!held.includes(",")) throw new Stop(`There is no older ${name} to drop`);
  else if (name === "TOKEN_CHECK_KEY" && !options.force) {
    const [{ old }] = await sql(`SELECT count(*) AS old FROM token_secrets AS s JOIN tokens AS t ON t.id = s.token_id
      WHERE s.legacy = 0 AND t.revoked_at IS NULL AND (s.ends_at IS NULL OR s.ends_at > unixepoch() * 1000)
        AND s.created_at < (SELECT updated_at FROM settings WHERE key = 'keys')`);
    if (old > 0) throw new Stop(`${old} secrets of live tokens are from before the new key and would be refused: rotate those tokens first, or --force`);
  }
  const list = readVault(options.stage)[name];
  if (name === "CREDENTIAL_KEY") {
    console.log("  credentials are sealed anew");
    await waitUntil(async () => {
      const [{ open: left }] = await sql(`SELECT (SELECT count(*) FROM credentials WHERE sealed_under <> '${fingerprint(list.split(",")[0])}') + (SELECT count(*) FROM outbox WHERE kind = 'routes') AS open`);
      return left === 0 ? null : `${left} to go`;
    });
    // KV may show the older table for a minute, and the gateway keeps it for ten seconds.
    await pause(Number(process.env.PROPAGATE_S ?? 130));
  }
  if (name === "CREDENTIAL_KEY" || options["drop-old"]) await set(dropped(list));
  else console.log(`  the old key is still accepted; what is left to move is said in docs/operations.md, then npm run rotate -- ${name} --drop-old`);
  console.log(`  done; put ${vaultFile(options.stage)} into your vault`);
});
