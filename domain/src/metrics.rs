//! Numbers in the text format of Prometheus, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::{Display, Write};

/// The kinds of numbers in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows, and starts again from 0.
    Counter,
}

/// A text of metrics. Samples belong to the family that was begun last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    text: String,
    family: &'static str,
}

impl Metrics {
    /// Begins a family. `help` is one line without a backslash.
    pub fn begin(&mut self, family: &'static str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        self.family = family;
        self.put(format_args!("# HELP {family} {help}\n# TYPE {family} {kind}\n"));
    }

    /// Adds a sample with its labels.
    pub fn add(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let family = self.family;
        self.put(format_args!("{family}"));
        for (place, (name, label)) in labels.iter().enumerate() {
            let open = if place == 0 { '{' } else { ',' };
            let label = label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            self.put(format_args!("{open}{name}=\"{label}\""));
        }
        self.put(format_args!("{} {value}\n", if labels.is_empty() { "" } else { "}" }));
    }

    /// Returns the text.
    pub fn text(self) -> String {
        self.text
    }

    fn put(&mut self, part: std::fmt::Arguments<'_>) {
        // A String takes everything.
        let _ = self.text.write_fmt(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_pinned() {
        let mut metrics = Metrics::default();
        metrics.begin("up", Kind::Gauge, "Whether it runs.");
        metrics.add(&[], 1);
        metrics.begin("calls_total", Kind::Counter, "Calls.");
        metrics.add(&[("route", "/a\"b\\c\nd"), ("result", "ok")], 5);
        metrics.add(&[("route", "")], 0.25);
        let wanted = "# HELP up Whether it runs.\n# TYPE up gauge\nup 1\n\
            # HELP calls_total Calls.\n# TYPE calls_total counter\n\
            calls_total{route=\"/a\\\"b\\\\c\\nd\",result=\"ok\"} 5\ncalls_total{route=\"\"} 0.25\n";
        assert_eq!(metrics.text(), wanted);
    }
}
