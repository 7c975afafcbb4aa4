//! What becomes of one message.

use bytes::Bytes;
use ratchet_codec::payload::{validate, Header};

use super::super::fallback::{self, Arrival};
use super::super::org::{OrgState, Runs};
use super::super::outbox::Gone;
use super::Worker;
use crate::capture::Offer;
use crate::identity::Org;
use crate::late::{self, LateWindow};
use crate::merge::Tally;
use crate::metrics::UNKNOWN_ORG;
use crate::traces::{Journey, Taken};
use crate::watermark::refuse_time;

/// Refusals that are about time; their messages are offered on the side stream.
const OUT_OF_REACH: [&str; 2] = ["future", "ancient"];
/// Why a message is dropped whose organization has sent too many points.
const OVER_QUOTA: &str = "points-per-second";

impl Worker {
    pub(super) fn message(
        &mut self,
        sequence: u64,
        received_ms: i64,
        subject: &str,
        payload: Bytes,
        mut trace: Option<Box<Journey>>,
    ) -> Result<(), Gone> {
        let replayed = sequence <= self.replay_until;
        self.take_in(sequence);
        let name = subject.rsplit('.').next().unwrap_or_default();
        if let Some(journey) = &mut trace {
            journey.taken(&self.turn(name, sequence, &payload));
        }
        let header = match self.admit(name, received_ms, &payload) {
            Ok(header) => header,
            Err((label, reason)) => {
                if let Some(mut journey) = trace {
                    journey.refused(reason);
                }
                if replayed {
                    return Ok(());
                }
                self.refuse(label, reason);
                return self.offer_refused(label, reason, sequence, payload);
            }
        };
        let Some(mut org) = self.orgs.remove(name) else {
            return Ok(());
        };
        org.replaying = replayed;
        org.heard_ms = Some(received_ms);
        org.journey = trace;
        let arrival = Arrival {
            sequence,
            payload: &payload,
            header: &header,
            replayed,
        };
        let served = if self.within_quota(&mut org, &arrival, received_ms) {
            self.aggregate(&mut org, &arrival, received_ms)
        } else {
            Ok(())
        };
        self.orgs.insert(org.org.clone(), org);
        served
    }

    /// Whether an organization may have the points of a message aggregated; if not, they are
    /// counted.
    fn within_quota(&self, org: &mut OrgState, arrival: &Arrival<'_>, received_ms: i64) -> bool {
        let (points, most) = (arrival.header.points, org.limits.points_per_second);
        let within = org.quota.admit(received_ms, points, most);
        if !within {
            if let Some(mut journey) = org.journey.take() {
                journey.refused(OVER_QUOTA);
            }
            if !arrival.replayed {
                self.refuse(org.org.as_str(), OVER_QUOTA);
                let metrics = &self.shared.tenant_metrics;
                metrics.dropped(&org.org, OVER_QUOTA, u64::from(points));
            }
        }
        within
    }

    /// Runs a message, and emits what its time closes.
    fn aggregate(
        &mut self,
        org: &mut OrgState,
        arrival: &Arrival<'_>,
        received_ms: i64,
    ) -> Result<(), Gone> {
        let (sequence, replayed) = (arrival.sequence, arrival.replayed);
        let (runs, late) = self.serve(org, arrival);
        let ran = !runs.here.is_empty();
        if !replayed {
            self.capture(org, arrival, received_ms);
            if runs.elsewhere {
                self.refuse(org.org.as_str(), late::MISROUTED);
            } else if !ran {
                self.refuse(org.org.as_str(), "unconfigured");
            }
        }
        if ran {
            org.watermark.message(arrival.header.max_ts, received_ms);
        }
        org.trace_merged(arrival.header);
        let closed = org.close();
        self.outbox.emit(org, sequence, closed)?;
        let offered = if !late.is_empty() {
            Some(late::late_headers(&late))
        } else if runs.elsewhere && !replayed {
            Some(late::refused_headers(late::MISROUTED))
        } else {
            None
        };
        match offered {
            Some(headers) => {
                let payload = arrival.payload.clone();
                self.outbox.late(&org.org, sequence, headers, payload)
            }
            None => Ok(()),
        }
    }

    /// What a trace says of a message whose turn it is.
    fn turn<'a>(&self, org: &'a str, sequence: u64, payload: &Bytes) -> Taken<'a> {
        Taken {
            org,
            partition: self.place.partition,
            sequence,
            bytes: payload.len(),
        }
    }

    /// Offers a message that came at an impossible time on the side stream.
    fn offer_refused(
        &mut self,
        name: &str,
        reason: &str,
        sequence: u64,
        payload: Bytes,
    ) -> Result<(), Gone> {
        let out_of_reach = self.orgs.contains_key(name) && OUT_OF_REACH.contains(&reason);
        match Org::parse(name) {
            Ok(org) if out_of_reach => {
                let headers = late::refused_headers(reason);
                self.outbox.late(&org, sequence, headers, payload)
            }
            _ => Ok(()),
        }
    }

    /// Checks a message, and makes its organization ready to serve it. What it refuses comes with
    /// the organization's label and the reason.
    fn admit<'a>(
        &mut self,
        name: &'a str,
        received_ms: i64,
        payload: &Bytes,
    ) -> Result<Header, (&'a str, &'static str)> {
        if !self.orgs.contains_key(name) {
            let org = Org::parse(name).map_err(|_| (UNKNOWN_ORG, "organization"))?;
            if self.shared.directory.chronicle(&org).is_none() {
                return Err((UNKNOWN_ORG, "unconfigured"));
            }
            self.add_org(org);
        }
        let header = match validate(payload) {
            Ok(header) => header,
            Err(error) => {
                tracing::debug!(org = name, %error, "malformed message");
                return Err((name, error.reason()));
            }
        };
        if let Some(reason) = refuse_time(header.min_ts, header.max_ts, received_ms) {
            return Err((name, reason));
        }
        if let Some(org) = self.orgs.get_mut(name) {
            org.refresh(&self.shared, received_ms);
        }
        Ok(header)
    }

    /// Runs a message on every configuration that it concerns; with them, the closed windows that
    /// it missed.
    fn serve(&mut self, org: &mut OrgState, arrival: &Arrival<'_>) -> (Runs, Vec<LateWindow>) {
        let runs = org.runs(arrival.header.min_ts, arrival.header.max_ts);
        let mut late = Vec::new();
        for (index, span) in &runs.here {
            org.wake(&self.shared, *index);
            let (budget, sequence) = (&self.shared.instances, arrival.sequence);
            self.instances
                .claim(budget, &mut self.orgs, org, *index, sequence);
            let served = fallback::serve(&self.shared, org, *index, *span, arrival);
            org.served[*index].tell_held();
            match served {
                Ok(tally) if !arrival.replayed => late.extend(self.count(org, *index, &tally)),
                Ok(_) => {}
                Err(reason) => {
                    tracing::error!(org = %org.org, reason, "the baseline failed on a message");
                    self.refuse(org.org.as_str(), "baseline-fault");
                }
            }
        }
        if !arrival.replayed && !runs.here.is_empty() {
            org.metrics.messages.inc();
            org.metrics.points.inc_by(u64::from(arrival.header.points));
        }
        (runs, late)
    }

    /// Counts what became of a message's records; returns the closed windows that it missed.
    fn count(&self, org: &OrgState, index: usize, tally: &Tally) -> Vec<LateWindow> {
        org.metrics.records.inc_by(tally.records);
        org.metrics.recalled.inc_by(tally.is_recalled.into());
        let metrics = &self.shared.tenant_metrics;
        metrics.dropped(&org.org, "series", tally.beyond_series);
        metrics.dropped(&org.org, "memory", tally.beyond_memory);
        late::windows(&org.served[index].configuration, &tally.late)
    }

    fn capture(&self, org: &mut OrgState, arrival: &Arrival<'_>, received_ms: i64) {
        let Some(configuration) = org.timeline().serving(arrival.header.max_ts) else {
            return;
        };
        let offer = Offer {
            org: &org.org,
            configuration: configuration.digest,
            sequence: arrival.sequence,
            received_ms,
            payload: arrival.payload,
            header: arrival.header,
        };
        self.shared.capture.offer(&offer, &mut org.budget);
    }
}
