//! Names of spans and metrics, each with its unit and meaning. Logs, dashboards and exports use
//! these and no others.

/// What a metric is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Things.
    Count,
}

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name; counters end in `_total`.
    pub name: &'static str,
    /// What it is counted in.
    pub unit: Unit,
    /// What it means, for people.
    pub meaning: &'static str,
}

/// Spans.
pub mod spans {
    /// One command's work; fields `run`, `command`.
    pub const RUN: &str = "run";
    /// One asset version to file; fields `item`, `asset`.
    pub const ITEM: &str = "item";
    /// One master on its way to one version; fields `transfer`, `size`.
    pub const TRANSFER: &str = "transfer";
    /// One request with all its attempts; fields `method`, `host`, `path`.
    pub const REQUEST: &str = "request";
}

/// Metrics.
pub mod metrics {
    use super::{Metric, Unit};

    const fn metric(name: &'static str, unit: Unit, meaning: &'static str) -> Metric {
        Metric {
            name,
            unit,
            meaning,
        }
    }

    /// Bytes received from sources, repeats included.
    pub const BYTES_FETCHED: Metric = metric(
        "longhaul_bytes_fetched_total",
        Unit::Bytes,
        "bytes received from sources, repeats included",
    );
    /// Bytes acknowledged by destinations, repeats included.
    pub const BYTES_SENT: Metric = metric(
        "longhaul_bytes_sent_total",
        Unit::Bytes,
        "bytes acknowledged by destinations, repeats included",
    );
    /// Bytes that had to move again.
    pub const BYTES_REPEATED: Metric = metric(
        "longhaul_bytes_repeated_total",
        Unit::Bytes,
        "bytes that moved again after a fault",
    );
    /// Bytes of the memory budget in use.
    pub const MEMORY_CLAIMED: Metric = metric(
        "longhaul_memory_claimed_bytes",
        Unit::Bytes,
        "bytes of the memory budget that are claimed",
    );
    /// Versions committed.
    pub const VERSIONS_COMMITTED: Metric = metric(
        "longhaul_versions_committed_total",
        Unit::Count,
        "versions committed at the destination",
    );
    /// Items by the state they ended in; label `state`.
    pub const ITEMS: Metric = metric(
        "longhaul_items_total",
        Unit::Count,
        "items by the state they ended in",
    );
    /// Attempts at requests; labels `host`, `status`.
    pub const REQUESTS: Metric = metric(
        "longhaul_requests_total",
        Unit::Count,
        "attempts at requests by host and status",
    );
    /// Time to the head of an answer; label `host`.
    pub const REQUEST_TIME: Metric = metric(
        "longhaul_request_seconds",
        Unit::Seconds,
        "time to the head of an answer, waiting for permits not included",
    );
    /// Time that servers held us back; label `host`.
    pub const THROTTLED: Metric = metric(
        "longhaul_throttled_seconds_total",
        Unit::Seconds,
        "time that requests were held back because a server asked for it",
    );
    /// Faults met; label `class`.
    pub const FAULTS: Metric = metric(
        "longhaul_faults_total",
        Unit::Count,
        "faults met, by failure class",
    );

    /// Every metric.
    pub const ALL: [Metric; 10] = [
        BYTES_FETCHED,
        BYTES_SENT,
        BYTES_REPEATED,
        MEMORY_CLAIMED,
        VERSIONS_COMMITTED,
        ITEMS,
        REQUESTS,
        REQUEST_TIME,
        THROTTLED,
        FAULTS,
    ];
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn metric_names_are_unique_and_carry_their_unit() {
        let names: HashSet<_> = metrics::ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), metrics::ALL.len());
        for metric in metrics::ALL {
            let unit = match metric.unit {
                Unit::Bytes => "bytes",
                Unit::Seconds => "seconds",
                Unit::Count => "total",
            };
            assert!(metric.name.starts_with("longhaul_") && metric.name.contains(unit));
            assert!(!metric.meaning.is_empty());
        }
    }
}
