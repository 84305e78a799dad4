//! Sums over calls: integers only, so that order does not matter.
//!
//! [`Rollup::count`] says how one call counts; [`Rollup::merge`] adds sums up further.

use super::UsageEvent;
use super::outcome::OutcomeClass;
use std::fmt::Write;

/// Values below this have a bin of their own.
const EXACT: u32 = 16;
/// Bins per power of two above it: a bin is at most 1/8 of its value wide, so its middle is within
/// 6.25 % of any value in it. The contract asks for 10 %.
const PER_OCTAVE: u32 = 8;
/// Latencies from here on (about 17 minutes) share the last bin.
const CEILING_MS: u32 = 1 << 20;

/// The number of bins.
pub const BINS: u32 = bin_of(CEILING_MS) + 1;

/// Returns the histogram bin of a latency in ms: exact below 16, then eight to each power of two
/// (the layout of `HdrHistogram` with three significant bits).
pub const fn bin_of(latency_ms: u32) -> u32 {
    let v = if latency_ms > CEILING_MS { CEILING_MS } else { latency_ms };
    if v < EXACT {
        return v;
    }
    let octave = v.ilog2();
    EXACT + (octave - 4) * PER_OCTAVE + ((v >> (octave - 3)) & (PER_OCTAVE - 1))
}

/// Returns the middle of a bin, in ms.
pub const fn bin_middle_ms(bin: u32) -> u32 {
    if bin < EXACT {
        return bin;
    }
    let bin = if bin >= BINS { BINS - 1 } else { bin };
    let octave = (bin - EXACT) / PER_OCTAVE + 4;
    let width = 1 << (octave - 3);
    (PER_OCTAVE + (bin - EXACT) % PER_OCTAVE) * width + width / 2
}

/// Counts per latency bin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// The first bin with a count.
    first: u32,
    /// Counts of the bins from there to the last one with a count: adding to a bin that is known takes no search.
    counts: Vec<u64>,
}

impl Histogram {
    /// Adds calls to a bin.
    pub fn add(&mut self, bin: u32, count: u64) {
        let bin = bin.min(BINS - 1);
        let index = bin.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        match index.and_then(|index| self.counts.get_mut(index)) {
            Some(sum) => *sum = sum.saturating_add(count),
            None if count > 0 => self.add_range(bin, &[count]),
            None => {}
        }
    }

    /// Adds the counts of another histogram.
    pub fn merge(&mut self, other: &Self) {
        if !other.counts.is_empty() {
            self.add_range(other.first, &other.counts);
        }
    }

    fn add_range(&mut self, first: u32, counts: &[u64]) {
        if self.counts.is_empty() {
            self.first = first;
        }
        let before = self.first.saturating_sub(first);
        if before > 0 {
            self.counts.splice(..0, (0..before).map(|_| 0));
            self.first = first;
        }
        let start = usize::try_from(first - self.first).unwrap_or(0);
        if start + counts.len() > self.counts.len() {
            self.counts.resize(start + counts.len(), 0);
        }
        for (sum, count) in self.counts.iter_mut().skip(start).zip(counts) {
            *sum = sum.saturating_add(*count);
        }
    }

    /// Adds bins and their counts in turn.
    pub fn add_all(&mut self, mut numbers: impl Iterator<Item = u64>) {
        while let (Some(bin), Some(count)) = (numbers.next(), numbers.next()) {
            self.add(u32::try_from(bin).unwrap_or(u32::MAX), count);
        }
    }

    /// Returns bins and their counts, ascending; empty bins are absent.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u64)> {
        (self.first..).zip(self.counts.iter().copied()).filter(|(_, count)| *count > 0)
    }

    /// Writes a JSON object of bins to counts.
    pub fn to_json(&self) -> String {
        let mut text = String::from("{");
        for (bin, count) in self.iter() {
            let comma = if text.len() > 1 { "," } else { "" };
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}\"{bin}\":{count}");
        }
        text.push('}');
        text
    }

    fn clear(&mut self) {
        self.counts.clear();
    }

    /// Returns the latency in ms below which `percent` of calls lie (nearest rank). `None` when empty.
    pub fn percentile_ms(&self, percent: u64) -> Option<u32> {
        let total: u64 = self.counts.iter().sum();
        let rank = total.saturating_mul(percent).div_ceil(100).max(1);
        let mut seen = 0_u64;
        self.iter().find_map(|(bin, count)| {
            seen = seen.saturating_add(count);
            (seen >= rank).then(|| bin_middle_ms(bin))
        })
    }
}

/// The number of sums besides the histogram.
pub const SUMS: usize = 16;

/// The sums over some calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollup {
    /// All calls.
    pub calls: u64,
    /// Calls to which the upstream responded with a status below 400.
    pub ok: u64,
    /// Calls to which it responded with 4xx.
    pub client_errors: u64,
    /// Calls to which it responded with 5xx.
    pub upstream_errors: u64,
    /// Calls for which the upstream's first byte did not arrive in time.
    pub timeouts: u64,
    /// Calls that ended with an error of the gateway itself, such as an unusable credential or maintenance.
    pub gateway_errors: u64,
    /// Calls that were denied.
    pub denied: u64,
    /// Calls that met a limit.
    pub limited: u64,
    /// Latencies of calls that reached an upstream, neither denied nor limited, added up.
    pub latency_sum_ms: u64,
    /// The gateway's own part of that sum.
    pub gateway_sum_ms: u64,
    /// Bytes of requests' bodies.
    pub bytes_in: u64,
    /// Bytes of responses' bodies.
    pub bytes_out: u64,
    /// AI tokens of prompts.
    pub prompt_tokens: u64,
    /// AI tokens of completions.
    pub completion_tokens: u64,
    /// Part of the prompt tokens: those that vendors read from their caches.
    pub cached_tokens: u64,
    /// Micro-dollars.
    pub cost_micros: u64,
    /// Latencies of the same calls as `latency_sum_ms`.
    pub latency: Histogram,
}

impl Rollup {
    /// Puts sums, in the order of their fields, and a histogram together.
    pub fn of(sums: [u64; SUMS], latency: Histogram) -> Self {
        let mut rollup = Self { latency, ..Self::default() };
        for (sum, n) in rollup.sums_mut().into_iter().zip(sums) {
            *sum = n;
        }
        rollup
    }

    /// Sets all sums to zero.
    pub fn clear(&mut self) {
        let mut latency = std::mem::take(&mut self.latency);
        latency.clear();
        *self = Self { latency, ..Self::default() };
    }

    /// Adds one call.
    pub fn count(&mut self, event: &UsageEvent) {
        let add = |sum: &mut u64, n: u64| *sum = sum.saturating_add(n);
        add(&mut self.calls, 1);
        let class = event.outcome.class();
        let counter = match class {
            OutcomeClass::Ok => &mut self.ok,
            OutcomeClass::ClientError => &mut self.client_errors,
            OutcomeClass::UpstreamError => &mut self.upstream_errors,
            OutcomeClass::Timeout => &mut self.timeouts,
            OutcomeClass::GatewayError => &mut self.gateway_errors,
            OutcomeClass::Denied => &mut self.denied,
            OutcomeClass::Limited => &mut self.limited,
        };
        add(counter, 1);
        if !matches!(class, OutcomeClass::Denied | OutcomeClass::Limited) {
            add(&mut self.latency_sum_ms, u64::from(event.latency_ms));
            add(&mut self.gateway_sum_ms, u64::from(event.gateway_ms));
            self.latency.add(bin_of(event.latency_ms), 1);
        }
        add(&mut self.bytes_in, event.bytes_in.unwrap_or(0));
        add(&mut self.bytes_out, event.bytes_out.unwrap_or(0));
        if let Some(ai) = &event.ai {
            add(&mut self.prompt_tokens, ai.prompt_tokens.unwrap_or(0));
            add(&mut self.completion_tokens, ai.completion_tokens.unwrap_or(0));
            add(&mut self.cached_tokens, ai.cached_tokens.unwrap_or(0));
            add(&mut self.cost_micros, ai.cost_micros.unwrap_or(0));
        }
    }

    /// Adds the calls of another rollup.
    pub fn merge(&mut self, other: &Self) {
        for (sum, n) in self.sums_mut().into_iter().zip(other.sums()) {
            *sum = sum.saturating_add(n);
        }
        self.latency.merge(&other.latency);
    }

    /// Returns all sums but the histogram, in the order of their fields.
    pub fn sums(&self) -> [u64; SUMS] {
        // One list for reading and writing: the order cannot differ.
        Self { latency: Histogram::default(), ..*self }.sums_mut().map(|sum| *sum)
    }

    /// Returns all sums but the histogram, to be changed, in the order of their fields.
    pub fn sums_mut(&mut self) -> [&mut u64; SUMS] {
        [
            &mut self.calls,
            &mut self.ok,
            &mut self.client_errors,
            &mut self.upstream_errors,
            &mut self.timeouts,
            &mut self.gateway_errors,
            &mut self.denied,
            &mut self.limited,
            &mut self.latency_sum_ms,
            &mut self.gateway_sum_ms,
            &mut self.bytes_in,
            &mut self.bytes_out,
            &mut self.prompt_tokens,
            &mut self.completion_tokens,
            &mut self.cached_tokens,
            &mut self.cost_micros,
        ]
    }

    /// Returns the number of calls that were neither denied nor limited.
    pub fn served(&self) -> u64 {
        self.calls.saturating_sub(self.denied).saturating_sub(self.limited)
    }
}

#[cfg(test)]
mod tests;
