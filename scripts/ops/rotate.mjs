// `npm run rotate -- CREDENTIAL_KEY [--stage staging]`, or TOKEN_CHECK_KEY, DERIVE_KEY or USAGE_LOG_KEY: replaces the current key
// by a new one without refusing a call. `--drop-old` then removes the older keys; for CREDENTIAL_KEY that is part of
// the rotation, since everything is sealed again. If it breaks off, run it again.
import { operate, pause, waitUntil } from "./operate.mjs";

/** The longest time for which an isolate keeps the secrets that it started with. */
const SETTLE_S = Number(process.env.SETTLE_S ?? 30);

/** The longest life of a derived token, in ms. */
const LONGEST_DERIVED_MS = 3_600_000;

await operate(
  import.meta.url,
  { "drop-old": { type: "boolean", default: false }, force: { type: "boolean", default: false } },
  async (options, [name]) => {
    const { Stop } = await import("./stage/stage.mjs");
    const { open } = await import("./stage/account.mjs");
    const { KEYS, newKey, readVault, vaultFile, writeVault } = await import("./keys/secrets.mjs");
    const { dropped, fingerprint, fingerprints, heldKeys, rotation } = await import("./keys/rotation.mjs");
    const { wrangler } = await import("./stage/wrangler.mjs");
    rotation(name, "", "");
    const { plan, sql } = await open(options.stage);
    const file = vaultFile(options.stage);

    const setting = async (key) =>
      JSON.parse((await sql("SELECT value FROM settings WHERE key = ?1", [key]))[0]?.value ?? "{}");
    const atWork = async () => (await setting("keys"))[name];
    const present = await atWork();
    if (!present)
      throw new Stop("The admin API has not said yet which keys it runs with: its cron does so each minute");
    const { held, note } = heldKeys(name, {
      present,
      environment: process.env[name],
      vault: readVault(options.stage)[name],
      vaultFile: file,
    });
    if (note) console.log(`  ${note}`);
    const keep = (value) => writeVault(options.stage, { ...readVault(options.stage), [name]: value });
    keep(held);

    /** Puts `value` into use at the Workers, the gateway first: it only reads what the admin API makes. */
    const set = async ({ what, value }) => {
      console.log(`  ${what}`);
      // A new key is saved before it is in use, and an old one until it is not, so that this can break off anywhere.
      const isDrop = !value.includes(",");
      if (!isDrop) keep(value);
      for (const worker of KEYS[name])
        await wrangler(["secret", "put", name, "--name", plan.config.env[worker].name], { input: value });
      await waitUntil(async () =>
        (await atWork()) === fingerprints(value)
          ? null
          : { left: 1, what: "Worker has still to say that it runs with it (each minute)" },
      );
      if (isDrop) keep(value);
      await pause(SETTLE_S);
      return value;
    };

    /** The time since which the first key has been the first, unix ms. */
    const ledSince = async () =>
      (await setting("keys-since"))[name]?.[fingerprint(held.split(",")[0])] ??
      (await sql("SELECT updated_at FROM settings WHERE key = 'keys'"))[0].updated_at;

    /** Stops if a derived token may live whose tag was made with a key older than the first. */
    const refuseWhileDerivedTokensNeedIt = async () => {
      const left = (await ledSince()) + LONGEST_DERIVED_MS + SETTLE_S * 1_000 - Date.now();
      if (left > 0)
        throw new Stop(
          `Derived tokens from before the new key may live for ${Math.ceil(left / 60_000)} more minutes: wait, or --force`,
        );
    };

    /** Stops if there are still live tokens whose check was made with a key older than the first. */
    const refuseWhileTokensNeedIt = async () => {
      const since = await ledSince();
      const [{ old }] = await sql(
        `SELECT (SELECT count(*) FROM token_secrets AS s JOIN tokens AS t ON t.id = s.token_id
      WHERE s.legacy = 0 AND t.revoked_at IS NULL AND (s.ends_at IS NULL OR s.ends_at > unixepoch() * 1000) AND s.created_at < ?1)
      + (SELECT count(*) FROM api_key_secrets AS s JOIN api_keys AS k ON k.id = s.key_id
      WHERE k.revoked_at IS NULL AND min(k.expires_at, coalesce(s.ends_at, k.expires_at)) > unixepoch() * 1000 AND s.created_at < ?1) AS old`,
        [since + SETTLE_S * 1_000],
      );
      if (old > 0)
        throw new Stop(
          `${old} secrets of live tokens and admin API keys are from before the new key and would be refused: rotate those first, or --force`,
        );
    };

    let list = held;
    if (!options["drop-old"]) for (const step of rotation(name, held, newKey())) list = await set(step);
    else if (!held.includes(",")) throw new Stop(`There is no older ${name} to drop: one key is at work`);
    else if (name === "TOKEN_CHECK_KEY" && !options.force) await refuseWhileTokensNeedIt();
    else if (name === "DERIVE_KEY" && !options.force) await refuseWhileDerivedTokensNeedIt();

    if (name === "CREDENTIAL_KEY") {
      const first = fingerprint(list.split(",")[0]);
      console.log("  credentials are sealed again");
      await waitUntil(async () => {
        const [{ unsealed, unpublished }] = await sql(
          `SELECT (SELECT count(*) FROM credentials WHERE sealed_under NOT IN (?1, '!' || ?1))
        + (SELECT count(*) FROM channels WHERE sealed_under NOT IN (?1, '!' || ?1)) AS unsealed,
        (SELECT count(*) FROM outbox WHERE kind = 'routes') AS unpublished`,
          [first],
        );
        return unsealed + unpublished === 0
          ? null
          : {
              left: unsealed + unpublished,
              what:
                unsealed > 0 ? "to be sealed again and published" : "publications of the route table to go",
            };
      });
      // KV may show the older table for a minute, and the gateway keeps it for ten seconds.
      await pause(Number(process.env.PROPAGATE_S ?? 130));
    }
    if (name === "CREDENTIAL_KEY" || options["drop-old"]) list = await set(dropped(list));
    else
      console.log(
        `  the old key is still accepted; what is left to move is said in docs/operations.md, then npm run rotate -- ${name} --drop-old`,
      );
    if (name === "CREDENTIAL_KEY") {
      const lost = await sql(
        "SELECT r.path FROM credentials AS c JOIN routes AS r ON r.id = c.route_id WHERE c.sealed_under = '!' || ?1 ORDER BY r.path",
        [fingerprint(list)],
      );
      if (lost.length > 0)
        console.log(
          `  no key opens the credentials of ${lost.length} routes; enter them again:\n${lost.map(({ path }) => `    ${path}`).join("\n")}`,
        );
    }
    console.log(`  done; put ${file} into your vault`);
  },
);
