//! What `top` shows, as a pure function of a [`View`]. Nothing is said by colour alone.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::progress::TROUBLE;
use super::super::{when, words};
use crate::control::{Doing, LiveFacts, Status};
use crate::ledger::{InHand, Item};
use crate::types::{FailureClass, display_bytes};

/// Where the values begin, behind their names.
const INDENT: usize = 9;

/// A page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Page {
    #[default]
    Run,
    Failures,
    Help,
}

/// Everything that is drawn.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) status: Option<Status>,
    pub(crate) stopped: Vec<Item>,
    pub(crate) page: Page,
    pub(crate) scroll: usize,
    pub(crate) message: Option<String>,
    pub(crate) asked_to_drain: bool,
    pub(crate) colour: bool,
    pub(crate) ledger: String,
}

impl View {
    pub(crate) fn live(&self) -> Option<&LiveFacts> {
        self.status.as_ref()?.live.as_ref()
    }

    fn style(&self, colour: Color) -> Style {
        if self.colour {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    fn good(&self) -> Style {
        self.style(Color::Green)
    }

    fn warn(&self) -> Style {
        self.style(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    fn bad(&self) -> Style {
        self.style(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn dim(&self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// Draws the view: a page, and below it what was said last and the keys.
pub(crate) fn draw(frame: &mut Frame<'_>, view: &View) {
    let area = frame.area();
    let width = usize::from(area.width);
    let mut foot: Vec<Line<'_>> = Vec::new();
    if let Some(message) = &view.message {
        foot.extend(
            wrapped(message, width.saturating_sub(2))
                .map(|line| Line::from(Span::styled(format!(" {line}"), view.warn()))),
        );
    }
    foot.push(Line::from(Span::styled(footer(view, width), view.dim())));
    let low = u16::try_from(foot.len()).unwrap_or(1).min(area.height);
    let body = Rect {
        height: area.height - low,
        ..area
    };
    let lines = match (&view.status, view.page) {
        (_, Page::Help) => help(view, width),
        (None, _) => vec![
            Line::from(Span::styled(" longhaul", bold())),
            Line::from(format!(" no run yet in {}", view.ledger)),
        ],
        (Some(status), Page::Failures) => failures(view, status, width),
        (Some(status), Page::Run) => run(view, status, width),
    };
    let most = lines.len().saturating_sub(usize::from(body.height));
    let scroll = u16::try_from(view.scroll.min(most)).unwrap_or(u16::MAX);
    frame.render_widget(Paragraph::new(lines).scroll((scroll, 0)), body);
    let below = Rect {
        y: area.y + body.height,
        height: low,
        ..area
    };
    frame.render_widget(Paragraph::new(foot), below);
}

fn footer(view: &View, width: usize) -> String {
    let pause = match view.live() {
        Some(live) if live.paused.is_some() => "p go on",
        _ => "p pause",
    };
    let failures = match view.page {
        Page::Failures => "f back",
        _ => "f failures",
    };
    let all = format!(" q leave · ? help · {failures} · {pause} · d drain · ↑↓ scroll");
    if Span::raw(&all).width() <= width {
        all
    } else {
        format!(" q leave · ? help · {failures} · {pause} · d drain")
    }
}

/// A text in lines of at most `width`, broken between words where there are any.
fn wrapped(text: &str, width: usize) -> std::vec::IntoIter<String> {
    let width = width.max(8);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut word = word;
        if !line.is_empty() && Span::raw(&line).width() + 1 + Span::raw(word).width() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        // A word that is longer than a line is cut.
        while Span::raw(word).width() > width {
            let cut = fitting(word, width);
            lines.push(word[..cut].to_owned());
            word = &word[cut..];
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines.into_iter()
}

/// How many bytes of the text fit in `width`; at least one character.
fn fitting(text: &str, width: usize) -> usize {
    let mut end = 0;
    for (at, c) in text.char_indices() {
        let next = at + c.len_utf8();
        if end > 0 && Span::raw(&text[..next]).width() > width {
            break;
        }
        end = next;
    }
    end
}

/// A text of exactly `width`: cut with an ellipsis, or filled.
fn fit(text: &str, width: usize) -> String {
    let has = Span::raw(text).width();
    if has <= width {
        return format!("{text}{}", " ".repeat(width - has));
    }
    let cut = fitting(text, width.saturating_sub(1));
    let text = format!("{}…", &text[..cut]);
    let has = Span::raw(&text).width();
    format!("{text}{}", " ".repeat(width.saturating_sub(has)))
}

/// A bar of `width`, brackets included.
fn bar(done: u64, all: u64, width: usize) -> String {
    let inner = width.saturating_sub(2);
    let filled = if all == 0 {
        0
    } else {
        usize::try_from(u128::from(done) * inner as u128 / u128::from(all)).unwrap_or(inner)
    }
    .min(inner);
    format!("[{}{}]", "█".repeat(filled), "░".repeat(inner - filled))
}

fn percent(done: u64, all: u64) -> String {
    let hundredth = (u128::from(done) * 100).checked_div(u128::from(all));
    format!("{:>3} %", hundredth.unwrap_or(0))
}

/// Lines under one name.
fn row(
    lines: &mut Vec<Line<'static>>,
    view: &View,
    name: &str,
    text: &str,
    style: Style,
    width: usize,
) {
    let room = width.saturating_sub(INDENT + 2);
    for (i, part) in wrapped(text, room).enumerate() {
        let name = if i == 0 { name } else { "" };
        lines.push(Line::from(vec![
            Span::styled(format!(" {name:<INDENT$}"), view.dim()),
            Span::styled(part, style),
        ]));
    }
}

fn run(view: &View, status: &Status, width: usize) -> Vec<Line<'static>> {
    let plain = Style::new();
    let style = match status.doing() {
        Doing::AtWork if view.live().is_some_and(|live| !live.outages.is_empty()) => view.warn(),
        Doing::AtWork => view.good(),
        Doing::Gone => view.bad(),
        Doing::Paused(_) | Doing::Closed(_) | Doing::Draining(_) | Doing::Held(_) => view.warn(),
        Doing::Stopped(_) | Doing::Ended(_) => plain,
    };
    let mut lines = vec![Line::from(vec![
        Span::styled(
            format!(" run {} {}", status.run.id, status.run.command),
            bold(),
        ),
        Span::styled(
            format!("  begun {}", when::moment(status.run.started)),
            view.dim(),
        ),
    ])];
    row(
        &mut lines,
        view,
        "state",
        &words::doing(status),
        style,
        width,
    );
    row(&mut lines, view, "scan", &words::scan(status), plain, width);
    let (done, all) = (status.confirmed(), status.bytes_total());
    let bytes = format!(
        "{}  {} of {}",
        percent(done, all),
        display_bytes(done),
        display_bytes(all)
    );
    let room = width.saturating_sub(INDENT + 4 + bytes.len()).clamp(6, 42);
    lines.push(Line::from(vec![
        Span::styled(format!(" {:<INDENT$}", "moved"), view.dim()),
        Span::styled(bar(done, all, room), view.good()),
        Span::raw(format!(" {bytes}")),
    ]));
    let mut items = format!(
        "{} of {} done",
        words::number(status.items(&["done"])),
        words::number(status.items_total())
    );
    for state in ["active", "waiting"] {
        let count = status.items(&[state]);
        let word = if state == "active" { "in hand" } else { state };
        if count > 0 {
            items.push_str(&format!(" · {} {word}", words::number(count)));
        }
    }
    row(&mut lines, view, "items", &items, plain, width);
    if let Some(live) = &status.live {
        let mut rate = format!("{}/s now", display_bytes(live.rate_now));
        if let Some(ten) = live.rate_ten {
            rate.push_str(&format!(" · {}/s over 10 min", display_bytes(ten)));
        }
        row(&mut lines, view, "rate", &rate, bold(), width);
    }
    if let Some((least, most)) = status.left() {
        let left = format!("{} to {}", words::brief(least), words::brief(most));
        row(&mut lines, view, "left", &left, bold(), width);
    }
    row(
        &mut lines,
        view,
        "proof",
        &words::proof(status),
        plain,
        width,
    );
    let trouble: Vec<String> = TROUBLE
        .iter()
        .map(|state| (state, status.items(&[state])))
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| format!("{} {state}", words::number(count)))
        .collect();
    if !trouble.is_empty() {
        let text = format!("{}: f says why and what helps", trouble.join(" · "));
        row(&mut lines, view, "look at", &text, view.bad(), width);
    }
    if let Some(limits) = words::limits(status) {
        row(&mut lines, view, "limit", &limits, plain, width);
    }
    if let Some(live) = &status.live {
        for limit in &live.overrides {
            row(&mut lines, view, "", &words::limit(limit), plain, width);
        }
        for outage in &live.outages {
            row(
                &mut lines,
                view,
                "outage",
                &words::outage(outage),
                view.bad(),
                width,
            );
            row(&mut lines, view, "", &outage.error, view.dim(), width);
        }
    }
    if let Some(bounds) = words::bounds(status) {
        row(&mut lines, view, "ends", &bounds, plain, width);
    }
    if !status.facts.in_hand.is_empty() {
        lines.push(Line::default());
        lines.extend(
            status
                .facts
                .in_hand
                .iter()
                .map(|item| hand(view, item, width)),
        );
    }
    lines
}

/// An item in hand: its title, size and how much of it is at the destination.
fn hand(view: &View, item: &InHand, width: usize) -> Line<'static> {
    let bar_width = match width {
        0..=71 => 0,
        72..=99 => 14,
        _ => 26,
    };
    let size = format!("{:>10}", display_bytes(item.bytes));
    let behind = 2 + size.len() + 2 + bar_width + 1 + 5 + 1;
    let title = fit(&item.title, width.saturating_sub(behind + 1).max(8));
    let mut spans = vec![Span::raw(format!("  {title}{size}  "))];
    if bar_width > 0 {
        spans.push(Span::styled(
            bar(item.confirmed, item.bytes, bar_width),
            view.good(),
        ));
    }
    spans.push(Span::raw(format!(
        " {}",
        percent(item.confirmed, item.bytes)
    )));
    Line::from(spans)
}

fn failures(view: &View, status: &Status, width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![Line::from(Span::styled(
        format!(
            " run {}: what stopped or waits, and what helps",
            status.run.id
        ),
        bold(),
    ))];
    let plain = Style::new();
    if status.facts.classes.is_empty() {
        lines.push(Line::from(Span::styled(" nothing", view.good())));
        return lines;
    }
    for count in &status.facts.classes {
        let class = FailureClass::from_name(&count.class);
        let title = class.map_or("waits", FailureClass::title);
        let mut text = format!("{title}, {}", count.state);
        if !count.reason.is_empty() {
            text.push_str(&format!(": {}", count.reason));
        }
        if count.attempts > 0 {
            text.push_str(&format!(" · {}", words::attempts(count.attempts)));
        }
        if count.state == "waiting" {
            text.push_str(&format!(" · next try {}", when::moment(count.next_at)));
        }
        let style = if count.state == "waiting" {
            view.warn()
        } else {
            view.bad()
        };
        row(
            &mut lines,
            view,
            &words::number(count.items),
            &text,
            style,
            width,
        );
        if let Some(class) = class {
            row(
                &mut lines,
                view,
                "",
                class.remedy(&count.state),
                view.dim(),
                width,
            );
        }
    }
    lines.push(Line::default());
    for item in &view.stopped {
        row(&mut lines, view, &item.state, &item.title, bold(), width);
        if let Some(message) = &item.message {
            row(&mut lines, view, "", message, plain, width);
        }
        row(&mut lines, view, "", &item.key, view.dim(), width);
    }
    lines
}

fn help(view: &View, width: usize) -> Vec<Line<'static>> {
    let plain = Style::new();
    let mut lines = vec![Line::from(Span::styled(" longhaul top", bold()))];
    for (key, text) in [
        ("q, Esc", "leave; the run goes on"),
        (
            "f",
            "what stopped or waits, by class, with what helps; f again goes back",
        ),
        (
            "p",
            "pause: parts in flight are finished, nothing new is begun; p again goes on",
        ),
        (
            "d d",
            "drain: parts in hand are finished and recorded, then the run ends; `longhaul resume` goes on",
        ),
        ("↑ ↓", "scroll; also PageUp, PageDown, Home"),
        ("", ""),
        (
            "moved",
            "bytes that Content Server acknowledged, never bytes that were only sent",
        ),
        (
            "left",
            "a range, from the rate now and over ten minutes; not said before it means something",
        ),
        ("proof", "how far what is filed was proved"),
        (
            "limit",
            "what holds the rate back, and the limits in force; `longhaul limit` changes them",
        ),
    ] {
        if key.is_empty() {
            lines.push(Line::default());
        } else {
            row(&mut lines, view, key, text, plain, width);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::super::sample;
    use super::*;

    /// The screen as text, each line without what is blank at its end.
    fn screen(view: &View, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        let buffer = terminal.backend().buffer();
        (0..height)
            .map(|y| {
                let line: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
                line.trim_end().to_owned()
            })
            .collect()
    }

    fn at_work() -> View {
        View {
            status: Some(sample::at_work()),
            colour: true,
            ..View::default()
        }
    }

    #[track_caller]
    fn shows(screen: &[String], parts: &[&str]) {
        let text = screen.join("\n");
        for part in parts {
            assert!(text.contains(part), "{part:?} is not on\n{text}");
        }
    }

    #[test]
    fn everything_that_matters_is_there_at_every_width() {
        for width in [60, 80, 120] {
            let screen = screen(&at_work(), width, 40);
            shows(
                &screen,
                &[
                    " run 3 archive",
                    "at work (longhaul archive, process 4711)",
                    "402 items found, 12 done before, 7 left out",
                    "57 %  6.98 TiB of 12.0 TiB",
                    "184 of 402 done · 2 in hand · 4 waiting",
                    "612 MiB/s now · 588 MiB/s over 10 min",
                    "2 h 17 min to 3 h",
                    "read-back 171 · sent 13",
                    "3 failed · 2 held",
                    "Content Server; at most 700 MiB/s",
                    "TV30_master_v7.mov",
                    " 61 %",
                    "q leave · ? help · f failures · p pause · d drain",
                ],
            );
            assert!(
                screen.last().unwrap().contains("q leave"),
                "the keys are at the foot"
            );
            for line in &screen {
                assert!(Span::raw(line).width() <= usize::from(width), "{line}");
            }
        }
    }

    #[test]
    fn bars_grow_with_the_width_and_leave_room_for_the_titles() {
        let bar_of = |width| {
            let screen = screen(&at_work(), width, 40);
            let moved = screen.iter().find(|line| line.contains("moved")).unwrap();
            moved.matches(['█', '░']).count()
        };
        assert!(bar_of(60) >= 10 && bar_of(60) < bar_of(80) && bar_of(80) <= bar_of(120));
        let narrow = screen(&at_work(), 60, 40).join("\n");
        assert!(narrow.contains("Social_cut_9x16_für_Österreic"), "{narrow}");
        assert_eq!(bar(1, 2, 12), "[█████░░░░░]");
        assert_eq!((bar(0, 0, 4), bar(9, 3, 4)), ("[░░]".into(), "[██]".into()));
    }

    #[test]
    fn failures_say_class_attempts_next_time_and_remedy() {
        let mut view = at_work();
        view.page = Page::Failures;
        for width in [60, 80, 120] {
            let screen = screen(&view, width, 40);
            shows(
                &screen,
                &[
                    "re-sign, failed",
                    "up to 8 attempts",
                    "next try",
                    "retry --class",
                    "f back",
                ],
            );
        }
    }

    #[test]
    fn a_pause_an_outage_a_dead_run_and_none_look_different() {
        let mut view = at_work();
        view.status = Some(sample::paused());
        shows(&screen(&view, 80, 30), &["paused by anna", "p go on"]);
        view.status = Some(sample::outage());
        shows(
            &screen(&view, 60, 30),
            &[
                "Content Server unreachable since",
                "in 40 s",
                "connection refused",
            ],
        );
        view.status = Some(sample::dead());
        let dead = screen(&view, 80, 30);
        shows(
            &dead,
            &[
                "its process is gone; `longhaul resume` goes on",
                "184 of 402 done",
            ],
        );
        assert!(!dead.join("\n").contains("/s now"), "no rate of now");
        view.status = None;
        view.ledger = "longhaul.db".into();
        shows(&screen(&view, 60, 10), &["no run yet in longhaul.db"]);
    }

    #[test]
    fn without_colour_there_is_none() {
        let mut view = at_work();
        for colour in [true, false] {
            view.colour = colour;
            let mut terminal = Terminal::new(TestBackend::new(80, 30)).unwrap();
            terminal.draw(|frame| draw(frame, &view)).unwrap();
            let cells = terminal.backend().buffer().content();
            let coloured = cells.iter().any(|cell| cell.fg != Color::Reset);
            assert_eq!(coloured, colour);
        }
    }

    #[test]
    fn a_small_or_scrolled_screen_keeps_the_keys_and_never_panics() {
        let mut view = at_work();
        view.message =
            Some("once more, d drains: parts in hand are finished, then the run ends".into());
        for (width, height) in [(1, 1), (8, 3), (20, 5), (60, 8)] {
            view.scroll = 1000;
            for page in [Page::Run, Page::Failures, Page::Help] {
                view.page = page;
                let screen = screen(&view, width, height);
                assert_eq!(screen.len(), usize::from(height));
            }
        }
        view.page = Page::Help;
        view.scroll = 0;
        shows(
            &screen(&view, 60, 30),
            &["once more, d", "drain: parts in hand", "q, Esc"],
        );
    }

    #[test]
    fn texts_are_wrapped_between_words_and_cut_only_when_they_must() {
        let lines: Vec<String> = wrapped("one two three", 8).collect();
        assert_eq!(lines, ["one two", "three"]);
        let lines: Vec<String> = wrapped("0123456789abcdef x", 10).collect();
        assert_eq!(lines, ["0123456789", "abcdef x"]);
        assert_eq!(fit("日本語のタイトル", 9), "日本語の…");
        assert_eq!(fit("ab", 4), "ab  ");
    }
}
