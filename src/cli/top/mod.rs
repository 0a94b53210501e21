//! `top`: a live view of a run, from its process when one is at work, else from the ledger.
//!
//! What is drawn is a pure function of a [`View`](draw::View); this file only looks, listens to
//! keys and draws. It reads the ledger by its own read-only connection, so it works beside a run,
//! in another shell, and after a process died.

mod draw;

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::draw::{Page, View};
use super::exit::Exit;
use super::{Context, progress, status, who};
use crate::control::{Ask, Client, Doing, Status};
use crate::ledger::{Item, Reader, STOPPED};
use crate::types::{ItemId, RunId};

/// Frames are at least this far apart.
const FRAME: Duration = Duration::from_millis(250);
/// Facts are read again this often, or as rarely as reading them takes a tenth of the time.
const LOOK: Duration = Duration::from_secs(1);
/// Without a terminal there is a line this often.
const LINE: Duration = Duration::from_secs(60);
/// Stopped items of a state that are listed.
const LISTED: usize = 200;

/// Watch a run live
///
/// What moves, how fast, what limits it, what stopped and what helps. Works beside a running process,
/// and shows the last word of a dead one. Without a terminal: a line a minute.
///
/// Keys: f failures, ? help, p pause or go on, d drain, q leave (the run goes on).
///
/// Examples:
///   longhaul top
///   longhaul top --run 3
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The run [default: the last]
    #[arg(long, value_name = "N")]
    run: Option<i64>,
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let settings = context.settings(Vec::new())?;
    let reader = super::connect::existing_ledger(&settings)?;
    let path = &settings.ledger.path;
    let run = arguments.run.map(RunId);
    // A terminal that moves no cursor gets the lines of a pipe.
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if context.output.json()
        || dumb
        || !std::io::stdout().is_terminal()
        || !std::io::stdin().is_terminal()
    {
        return lines(context, &reader, path, run).await;
    }
    let colour = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
    let mut terminal = ratatui::try_init()?;
    let watched = watch(&mut terminal, &reader, path, run, colour).await;
    ratatui::try_restore()?;
    watched
}

/// Without a terminal: a line a minute, until nobody works on the run.
async fn lines(
    context: &Context,
    reader: &Reader,
    path: &Path,
    run: Option<RunId>,
) -> anyhow::Result<Exit> {
    loop {
        let Some(status) = status::look(reader, path, run).await? else {
            context.output.say("no run yet");
            return Ok(Exit::Done);
        };
        context.output.say(progress::text(&status));
        context.output.event("status", status.json());
        if let Doing::Gone | Doing::Stopped(_) | Doing::Ended(_) | Doing::Held(_) = status.doing() {
            return Ok(Exit::Done);
        }
        tokio::time::sleep(LINE).await;
    }
}

async fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    reader: &Reader,
    path: &Path,
    run: Option<RunId>,
    colour: bool,
) -> anyhow::Result<Exit> {
    let mut view = View {
        colour,
        ledger: path.display().to_string(),
        ..View::default()
    };
    let mut keys = keys();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut look_at = Instant::now();
    let mut drawn = None::<Instant>;
    loop {
        let began = Instant::now();
        if began >= look_at {
            view.status = status::look(reader, path, run).await?;
            view.stopped = stopped(reader, view.status.as_ref())?;
            look_at = Instant::now() + LOOK.max(began.elapsed() * 9);
        }
        if drawn.is_none_or(|at| at.elapsed() >= FRAME) {
            terminal.draw(|frame| draw::draw(frame, &view))?;
            drawn = Some(Instant::now());
        }
        let next = drawn.map_or(look_at, |at| (at + FRAME).max(began));
        let key = tokio::select! {
            _ = terminate.recv() => return Ok(Exit::Done),
            event = keys.recv() => match event {
                Some(event) => event,
                None => return Ok(Exit::Done),
            },
            () = tokio::time::sleep_until(next) => continue,
        };
        match view.key(key) {
            Wish::Nothing => {}
            Wish::Leave => return Ok(Exit::Done),
            Wish::Ask(ask) => {
                let asked = async {
                    let mut client = Client::connect(path).await?;
                    client.ask(ask, &who::asks("top")).await
                };
                view.message = Some(asked.await.unwrap_or_else(|error| error.to_string()));
                look_at = Instant::now();
            }
        }
    }
}

/// Keys, from a thread that may wait for them.
fn keys() -> mpsc::Receiver<KeyEvent> {
    const WAIT: Duration = Duration::from_millis(200);
    let (to, keys) = mpsc::channel(16);
    std::thread::spawn(move || {
        while !to.is_closed() {
            match event::poll(WAIT).and_then(|ready| ready.then(event::read).transpose()) {
                Ok(Some(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                    if to.blocking_send(key).is_err() {
                        return;
                    }
                }
                Ok(_) => {}
                // The terminal is gone.
                Err(_) => return,
            }
        }
    });
    keys
}

/// Items that stopped or wait, the first of each state.
fn stopped(reader: &Reader, status: Option<&Status>) -> anyhow::Result<Vec<Item>> {
    let mut found = Vec::new();
    let Some(status) = status else {
        return Ok(found);
    };
    for state in STOPPED {
        if status.items(&[state]) > 0 {
            found.extend(reader.items(status.run.id, Some(state), ItemId(0), LISTED)?);
        }
    }
    Ok(found)
}

/// What a key asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Nothing,
    Leave,
    Ask(Ask),
}

impl View {
    /// Takes a key.
    fn key(&mut self, key: KeyEvent) -> Wish {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let was_asked = std::mem::take(&mut self.asked_to_drain);
        self.message = None;
        match key.code {
            KeyCode::Char('c') if control => return Wish::Leave,
            KeyCode::Char('q') => return Wish::Leave,
            KeyCode::Esc if self.page == Page::Run => return Wish::Leave,
            KeyCode::Esc => self.turn(Page::Run),
            KeyCode::Char('?' | 'h') => self.turn(Page::Help),
            KeyCode::Char('f') => self.turn(Page::Failures),
            KeyCode::Down | KeyCode::Char('j') => self.scroll = self.scroll.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll = self.scroll.saturating_add(10),
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(10),
            KeyCode::Home => self.scroll = 0,
            KeyCode::Char('p') => return self.pause(),
            KeyCode::Char('d') => {
                if self.live().is_none() {
                    self.message = Some("no process is at work on it".into());
                } else if was_asked {
                    return Wish::Ask(Ask::Drain { now: false });
                } else {
                    self.asked_to_drain = true;
                    self.message = Some(
                        "once more, d drains: parts in hand are finished, then the run ends".into(),
                    );
                }
            }
            _ => {}
        }
        Wish::Nothing
    }

    fn pause(&mut self) -> Wish {
        match self.live() {
            Some(live) if live.paused.is_some() => Wish::Ask(Ask::Resume),
            Some(_) => Wish::Ask(Ask::Pause { until: None }),
            None => {
                self.message =
                    Some("no process is at work on it: `longhaul resume` goes on".into());
                Wish::Nothing
            }
        }
    }

    /// Turns to a page, or back from it.
    fn turn(&mut self, page: Page) {
        self.scroll = 0;
        self.page = if self.page == page { Page::Run } else { page };
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn press(view: &mut View, code: KeyCode) -> Wish {
        view.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn p_pauses_and_goes_on_and_d_wants_to_be_pressed_twice() {
        let mut view = View {
            status: Some(sample::at_work()),
            ..View::default()
        };
        assert_eq!(
            press(&mut view, KeyCode::Char('p')),
            Wish::Ask(Ask::Pause { until: None })
        );
        assert_eq!(press(&mut view, KeyCode::Char('d')), Wish::Nothing);
        assert_eq!(press(&mut view, KeyCode::Char('x')), Wish::Nothing);
        assert_eq!(
            press(&mut view, KeyCode::Char('d')),
            Wish::Nothing,
            "asked anew"
        );
        let drain = Wish::Ask(Ask::Drain { now: false });
        assert_eq!(press(&mut view, KeyCode::Char('d')), drain);
        view.status = Some(sample::paused());
        assert_eq!(press(&mut view, KeyCode::Char('p')), Wish::Ask(Ask::Resume));
        view.status = Some(sample::dead());
        for key in ['p', 'd'] {
            assert_eq!(press(&mut view, KeyCode::Char(key)), Wish::Nothing);
            assert!(view.message.take().unwrap().contains("no process"));
        }
    }

    #[test]
    fn a_page_is_left_by_its_own_key_or_escape_and_q_leaves_everything() {
        let mut view = View::default();
        press(&mut view, KeyCode::Char('f'));
        press(&mut view, KeyCode::Down);
        assert_eq!((view.page, view.scroll), (Page::Failures, 1));
        press(&mut view, KeyCode::Char('f'));
        assert_eq!((view.page, view.scroll), (Page::Run, 0));
        press(&mut view, KeyCode::Char('?'));
        assert_eq!(press(&mut view, KeyCode::Esc), Wish::Nothing);
        assert_eq!(view.page, Page::Run);
        assert_eq!(press(&mut view, KeyCode::Esc), Wish::Leave);
        assert_eq!(press(&mut view, KeyCode::Char('q')), Wish::Leave);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(view.key(interrupt), Wish::Leave);
    }
}
