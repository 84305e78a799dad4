// `npm run republish -- [--stage staging]`: writes everything that KV is to hold once more, from D1, as after a loss
// of the namespace. Nothing is granted by it that D1 does not grant. Run again where it broke off, it goes on.
import { operate } from "./operate.mjs";

await operate(import.meta.url, {}, async ({ stage }) => {
  const { open } = await import("./stage/account.mjs");
  const { askForAll, published, underWay } = await import("./derived/publication.mjs");
  const { sql } = await open(stage);
  const started = Date.now();
  let asked = await underWay(sql);
  if (asked) console.log("  goes on with what was asked for before");
  else {
    asked = await askForAll(sql);
    console.log("  asked for; the cron writes within a minute");
  }
  await published(sql, asked);
  console.log(
    `  KV holds what D1 says, after ${Math.round((Date.now() - started) / 1_000)} s; the edge shows it within 40 s`,
  );
});
