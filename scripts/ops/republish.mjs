// `npm run republish -- [--stage staging]`: writes all entries of KV again from D1, for example after a loss of
// the namespace. It grants nothing that D1 does not grant. If it breaks off, run it again to continue.
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
