//! Figures of the gateway, in the text format of Prometheus.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::organization::Org;
use crate::tally::Tally;

/// Organizations that have labels of their own; the others share one.
const ORGS_MAX: usize = 10_000;
const OTHER_ORGS: &str = "other";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabel {
    pub protocol: &'static str,
    pub status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ProtocolLabel {
    pub protocol: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OrgLabel {
    pub org: String,
    pub protocol: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    pub org: String,
    pub reason: &'static str,
}

/// Every metric of the gateway. Cloning shares them.
#[derive(Clone)]
pub struct Metrics {
    pub requests: Family<RequestLabel, Counter>,
    pub refused_requests: Family<ReasonLabel, Counter>,
    pub points: Family<OrgLabel, Counter>,
    pub rejected: Family<ReasonLabel, Counter>,
    pub ignored: Family<ReasonLabel, Counter>,
    pub body_bytes: Family<ProtocolLabel, Counter>,
    pub content_bytes: Family<ProtocolLabel, Counter>,
    pub message_bytes: Counter,
    pub messages: Counter,
    pub repeated_messages: Counter,
    pub in_flight: Gauge,
    pub reserved_bytes: Gauge,
    pub connections: Family<ProtocolLabel, Gauge>,
    pub series: Gauge,
    pub known_bytes: Gauge,
    pub publish_seconds: Histogram,
    pub connected: Gauge,
    orgs: Arc<Mutex<HashSet<Org>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            refused_requests: Family::default(),
            points: Family::default(),
            rejected: Family::default(),
            ignored: Family::default(),
            body_bytes: Family::default(),
            content_bytes: Family::default(),
            message_bytes: Counter::default(),
            messages: Counter::default(),
            repeated_messages: Counter::default(),
            in_flight: Gauge::default(),
            reserved_bytes: Gauge::default(),
            connections: Family::default(),
            series: Gauge::default(),
            known_bytes: Gauge::default(),
            publish_seconds: Histogram::new([
                0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0,
            ]),
            connected: Gauge::default(),
            orgs: Arc::default(),
        }
    }
}

impl Metrics {
    /// Registers everything under `ingest_`.
    pub fn register(&self, registry: &mut Registry) {
        let r = registry.sub_registry_with_prefix("ingest");
        let text = "Requests by protocol and HTTP status; gRPC's as the status that is like it";
        r.register("requests", text, self.requests.clone());
        let text = "Requests refused as a whole, by reason";
        r.register("refused_requests", text, self.refused_requests.clone());
        let text = "Points put into the stream";
        r.register("points", text, self.points.clone());
        let text = "Data points refused, by reason; their senders were told";
        r.register("rejected_points", text, self.rejected.clone());
        let text = "What was left out as documented, by kind";
        r.register("ignored", text, self.ignored.clone());
        r.register("body_bytes", "Bytes as sent", self.body_bytes.clone());
        let text = "Bytes after decompression";
        r.register("content_bytes", text, self.content_bytes.clone());
        let text = "Bytes of messages stored";
        r.register("message_bytes", text, self.message_bytes.clone());
        r.register("messages", "Messages stored", self.messages.clone());
        let text = "Messages that the stream had already";
        r.register("repeated_messages", text, self.repeated_messages.clone());
        let text = "Requests in progress";
        r.register("requests_in_flight", text, self.in_flight.clone());
        let text = "Bytes that requests hold in memory";
        r.register("reserved_bytes", text, self.reserved_bytes.clone());
        r.register("connections", "Open connections", self.connections.clone());
        let text = "Cumulative series remembered";
        r.register("series", text, self.series.clone());
        let text = "Memory for series that are recognised by the bytes of their labels";
        r.register("known_bytes", text, self.known_bytes.clone());
        let text = "Time until the stream had stored the messages of a request";
        r.register("publish_seconds", text, self.publish_seconds.clone());
        let text = "1 while the gateway is connected to NATS";
        r.register("nats_connected", text, self.connected.clone());
    }

    /// Books what became of a request's points.
    pub fn book(&self, org: &Org, protocol: &'static str, tally: &Tally) {
        let org = self.label(org);
        let points = OrgLabel {
            org: org.clone(),
            protocol,
        };
        self.points.get_or_create(&points).inc_by(tally.written);
        let label = |reason| ReasonLabel {
            org: org.clone(),
            reason,
        };
        for (reason, count) in &tally.rejected {
            let counter = self.rejected.get_or_create_owned(&label(reason.name()));
            counter.inc_by(*count);
        }
        for (what, count) in &tally.ignored {
            let counter = self.ignored.get_or_create_owned(&label(what.name()));
            counter.inc_by(*count);
        }
    }

    /// Books a request that was refused as a whole.
    pub fn refuse(&self, org: Option<&Org>, reason: &'static str) {
        let org = org.map_or_else(|| OTHER_ORGS.to_owned(), |org| self.label(org));
        let label = ReasonLabel { org, reason };
        self.refused_requests.get_or_create(&label).inc();
    }

    /// The label of an organization; a token of every one must not make labels without end.
    fn label(&self, org: &Org) -> String {
        let mut orgs = self.orgs.lock();
        if !orgs.contains(org) {
            if orgs.len() >= ORGS_MAX {
                return OTHER_ORGS.to_owned();
            }
            orgs.insert(org.clone());
        }
        org.to_string()
    }
}
