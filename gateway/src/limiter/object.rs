//! The Durable Object of one token, or of one team's budget: its ledger, saved in `SQLite` ahead of need. The platform
//! holds a response back until the save is durable, so a restart forgets nothing that was promised.
//!
//! An alarm exists only while the ledger is ahead of need, or while a team is to hear of what has changed.

use crate::sql::rows;
use domain::json::from_text;
use domain::limit::ledger::{Ask, Command, Granted, Ledger, Limited, Slice, Take, TeamBudget};
use domain::time::UnixMs;
use edge::clock::now;
use edge::limiter::{ask, team_object};
use edge::log::{Source, log};
use futures_channel::oneshot;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use worker::{DurableObject, Env, Error, Request, Response, Result, State, durable_object};

/// How often a call asks the team before it gives up.
const MOST_TEAM_QUESTIONS: u32 = 3;

/// The counter of one token or team.
#[durable_object(alarm)]
pub struct TokenLimiter {
    state: State,
    env: Env,
    /// The ledger as it stands. `None` before it is read, and after a failed save.
    ledger: RefCell<Option<Box<Ledger>>>,
    /// When the alarm will ring.
    alarm: Cell<Option<UnixMs>>,
    /// Calls that wait until another call's question to the team has ended; `None` while there is none.
    turns: RefCell<Option<Vec<oneshot::Sender<()>>>>,
    /// Calls that may need the team, the one that asks included.
    waiting: Cell<u64>,
}

impl std::fmt::Debug for TokenLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenLimiter").finish_non_exhaustive()
    }
}

impl DurableObject for TokenLimiter {
    fn new(state: State, env: Env) -> Self {
        let (ledger, alarm, turns, waiting) = Default::default();
        Self { state, env, ledger, alarm, turns, waiting }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let answer = match from_text(&request.text().await?).map_err(|e| e.to_string())? {
            Command::Take(take) => match self.ask_team(&take).await? {
                Some(limited) => to_json(&Err::<Granted, _>(limited)),
                None => self.with(|ledger| to_json(&ledger.take(&take, now()))),
            },
            Command::Slice(slice) => self.with(|ledger| to_json(&ledger.slice(&slice, now()))),
            Command::Settle { call, settlement } => {
                self.with(|ledger| to_json(&ledger.settle(&call, settlement, now())))
            }
            Command::Renew { call } => self.with(|ledger| to_json(&ledger.renew(&call, now()))),
            Command::Report(report) => self.with(|ledger| {
                ledger.report(&report, now());
                to_json(&true)
            }),
            Command::Uses { limits, zone } => self.with(|ledger| to_json(&ledger.uses(&limits, zone, now()))),
            Command::Derived(asked) => self.with(|ledger| to_json(&ledger.count_derived(&asked, now()))),
            Command::Forget => self.forget().await,
        };
        let answer = answer?;
        self.set_alarm().await?;
        Response::ok(answer)
    }

    async fn alarm(&self) -> Result<Response> {
        self.alarm.set(None);
        self.tell_team().await?;
        self.with(|ledger| {
            // A block that was begun later has its own time.
            if ledger.alarm_at().is_some_and(|at| at <= now()) {
                self.save(ledger)?;
            }
            Ok(())
        })?;
        self.set_alarm().await?;
        Response::ok("")
    }
}

fn to_json(answer: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(answer)?)
}

impl TokenLimiter {
    /// Lets `act` use the ledger, and saves it if it must be. Nothing is awaited meanwhile, so no other call can come in
    /// between.
    fn with<T>(&self, act: impl FnOnce(&mut Ledger) -> Result<T>) -> Result<T> {
        let mut ledger = self.taken()?;
        let answer = act(&mut ledger)?;
        self.put_back(ledger)?;
        Ok(answer)
    }

    fn taken(&self) -> Result<Box<Ledger>> {
        self.ledger.take().map_or_else(|| self.load().map(Box::new), Ok)
    }

    fn put_back(&self, mut ledger: Box<Ledger>) -> Result<()> {
        if ledger.needs_saving(now()) {
            self.save(&mut ledger)?;
        }
        self.ledger.replace(Some(ledger));
        Ok(())
    }

    fn load(&self) -> Result<Ledger> {
        #[derive(Deserialize)]
        struct Row {
            ledger: String,
        }
        let sql = self.state.storage().sql();
        sql.exec("CREATE TABLE IF NOT EXISTS ledger (id INTEGER PRIMARY KEY CHECK (id = 0), ledger TEXT NOT NULL) STRICT", None)?;
        let rows: Vec<Row> = rows(&sql, "SELECT ledger FROM ledger")?;
        rows.first().map_or_else(
            || Ok(Ledger::default()),
            |row| from_text(&row.ledger).map_err(|e| Error::RustError(e.to_string())),
        )
    }

    fn save(&self, ledger: &mut Ledger) -> Result<()> {
        ledger.go_ahead(now());
        let text = to_json(ledger)?;
        let save = "INSERT INTO ledger (id, ledger) VALUES (0, ?) ON CONFLICT (id) DO UPDATE SET ledger = excluded.ledger";
        self.state.storage().sql().exec(save, vec![text.into()])?;
        Ok(())
    }

    /// Sets the alarm if there is a reason and none is set.
    async fn set_alarm(&self) -> Result<()> {
        let due = self.ledger.borrow().as_ref().and_then(|ledger| ledger.alarm_at());
        let Some(at) = due.filter(|_| self.alarm.get().is_none()) else { return Ok(()) };
        self.alarm.set(Some(at));
        self.state.storage().set_alarm((at - now()).max(0)).await
    }

    /// Empties the object of a token that is revoked.
    async fn forget(&self) -> Result<String> {
        self.ledger.replace(None);
        self.alarm.set(None);
        self.state.storage().delete_alarm().await?;
        self.state.storage().delete_all().await?;
        to_json(&true)
    }

    /// Has the token hold enough of its team's budget for the call. Returns the team's refusal.
    ///
    /// One question is asked at a time, for all calls that wait: its report says what the token holds.
    async fn ask_team(&self, take: &Take) -> Result<Option<Limited>> {
        let Some(team) = &take.team else { return Ok(None) };
        let _waits = Waits::new(&self.waiting);
        let mut questions = 0;
        while self.with(|ledger| Ok(ledger.needs_team(take, now())))? {
            let turn = self.turns.borrow_mut().as_mut().map(|turns| {
                let (end, turn) = oneshot::channel();
                turns.push(end);
                turn
            });
            if let Some(turn) = turn {
                let _ = turn.await;
                continue;
            }
            questions += 1;
            if questions > MOST_TEAM_QUESTIONS {
                return Err(Error::RustError("the team's budget cannot be asked for".to_owned()));
            }
            let _asks = Asks::new(&self.turns);
            if let Some(limited) = self.ask_for_slice(take, team).await? {
                return Ok(Some(limited));
            }
        }
        Ok(None)
    }

    async fn ask_for_slice(&self, take: &Take, team: &TeamBudget) -> Result<Option<Limited>> {
        let asked_at = now();
        let report = self.with(|ledger| Ok(ledger.report_to(team, asked_at)))?;
        let seq = report.seq;
        let waiting = self.waiting.get();
        let need = take.ask.with(Ask { tokens: waiting, micros: waiting }, u64::saturating_mul);
        let slice = Slice { report, limits: team.limits.clone(), ask: take.ask, need, zone: take.zone };
        let answer = ask(&self.env, &team_object(&team.id), &Command::Slice(Box::new(slice))).await;
        let answer: std::result::Result<Granted, Limited> = answer.map_err(Error::RustError)?;
        self.with(|ledger| match answer {
            Ok(granted) => {
                ledger.lent_by_team(seq, &granted, asked_at);
                Ok(None)
            }
            Err(limited) => {
                Ok(Some(Limited { uses: ledger.uses(&take.limits, take.zone, now()), ..limited }))
            }
        })
    }

    /// Tells the team of what has changed, if it is time. Whoever asks for a slice reports as well.
    async fn tell_team(&self) -> Result<()> {
        if self.turns.borrow().is_some() {
            return Ok(());
        }
        let Some((team, report)) = self.with(|ledger| Ok(ledger.report_due(now())))? else { return Ok(()) };
        let command = Command::Report(report);
        let told: std::result::Result<bool, String> = ask(&self.env, &team_object(&team), &command).await;
        if let Err(cause) = told {
            log(Source::Isolate, "the team's budget cannot be reported to", &cause);
            self.with(|ledger| {
                ledger.tell_team(now());
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Counts a call that may have to wait for its team, while it exists.
struct Waits<'a>(&'a Cell<u64>);

impl<'a> Waits<'a> {
    fn new(waiting: &'a Cell<u64>) -> Self {
        waiting.set(waiting.get() + 1);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// The one question to the team, while it exists. At its end the others have their turn.
struct Asks<'a>(&'a RefCell<Option<Vec<oneshot::Sender<()>>>>);

impl<'a> Asks<'a> {
    fn new(turns: &'a RefCell<Option<Vec<oneshot::Sender<()>>>>) -> Self {
        turns.replace(Some(vec![]));
        Self(turns)
    }
}

impl Drop for Asks<'_> {
    fn drop(&mut self) {
        self.0.take();
    }
}
