//! The Durable Object of one token: its ledger, saved in `SQLite` after each change. The platform holds a
//! response back until the save is durable, so a restart forgets nothing that was promised.

use domain::limit::ledger::{Command, Ledger};
use domain::stored::from_text;
use edge::clock::now;
use serde::Deserialize;
use std::cell::RefCell;
use worker::{DurableObject, Env, Error, Request, Response, Result, State, durable_object};

/// The counter of one token.
#[durable_object]
pub struct TokenLimiter {
    state: State,
    /// The ledger as saved. `None` before it is read, and after a failed save.
    ledger: RefCell<Option<Ledger>>,
}

impl std::fmt::Debug for TokenLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenLimiter").finish_non_exhaustive()
    }
}

impl DurableObject for TokenLimiter {
    fn new(state: State, _env: Env) -> Self {
        Self { state, ledger: RefCell::new(None) }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let command: Command = from_text(&request.text().await?)?;
        // Nothing is awaited from here to the save, so no other call can come in between.
        let mut ledger = match self.ledger.take() {
            Some(ledger) => ledger,
            None => self.load()?,
        };
        let now = now();
        let answer = match command {
            Command::Take { call, limits, ask } => {
                let verdict = ledger.take(&limits, &call, ask, now);
                if verdict.is_ok() {
                    self.save(&ledger)?;
                }
                serde_json::to_string(&verdict)
            }
            Command::Settle { call, settlement } => {
                let was_open = ledger.settle(&call, settlement, now);
                if was_open {
                    self.save(&ledger)?;
                }
                serde_json::to_string(&was_open)
            }
            Command::Uses { limits } => serde_json::to_string(&ledger.uses(&limits, now)),
        };
        self.ledger.replace(Some(ledger));
        Response::ok(answer?)
    }
}

impl TokenLimiter {
    fn load(&self) -> Result<Ledger> {
        #[derive(Deserialize)]
        struct Row {
            ledger: String,
        }
        let sql = self.state.storage().sql();
        sql.exec("CREATE TABLE IF NOT EXISTS ledger (id INTEGER PRIMARY KEY CHECK (id = 0), ledger TEXT NOT NULL) STRICT", None)?;
        let rows: Vec<Row> = sql.exec("SELECT ledger FROM ledger", None)?.to_array()?;
        rows.first().map_or_else(
            || Ok(Ledger::default()),
            |row| from_text(&row.ledger).map_err(|e| Error::RustError(e.to_string())),
        )
    }

    fn save(&self, ledger: &Ledger) -> Result<()> {
        let text = serde_json::to_string(ledger)?;
        let save = "INSERT INTO ledger (id, ledger) VALUES (0, ?) ON CONFLICT (id) DO UPDATE SET ledger = excluded.ledger";
        self.state.storage().sql().exec(save, vec![text.into()])?;
        Ok(())
    }
}
