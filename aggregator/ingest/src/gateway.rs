//! The way of a request, whatever its protocol: who sends it, its bytes, its points, the stream.

use std::sync::Arc;
use std::time::SystemTime;

use axum::http::HeaderMap;
use bytes::Bytes;
use hyper::body::Body;
use ratchet_codec::payload::validate;
use twox_hash::XxHash3_64;

use crate::access::Access;
use crate::batch::Batch;
use crate::body::{self, Coding};
use crate::budget::{Budget, Reservation};
use crate::known::Shelf;
use crate::metrics::{Metrics, ProtocolLabel};
use crate::organization::Org;
use crate::otlp::{self, ExportMetricsServiceRequest};
use crate::publish::{Manner, Publisher};
use crate::refusal::Refusal;
use crate::remote_write::{self, Decoded, Written};
use crate::series::{Series, Staged};
use crate::settings::Limits;
use crate::spread::{Placed, Spread, Spreads};
use crate::tally::Tally;
use crate::trace::traceparent;
use crate::wire::Malformed;

/// Bodies larger than this are decoded where they hold up nobody else.
const LARGE: usize = 1024 * 1024;
/// What points and messages take, as a multiple of the bytes that they are made from.
const GROWTH: usize = 4;

pub struct Gateway {
    pub limits: Limits,
    pub access: Access,
    pub budget: Budget,
    pub publisher: Publisher,
    pub series: Series,
    pub known: Shelf,
    /// Without it every point goes home.
    pub spreads: Option<Arc<dyn Spreads>>,
    pub metrics: Metrics,
}

/// A refusal, and of whom if that was known.
pub type Refused = (Option<Org>, Refusal);

/// A request whose bytes are all there.
pub(crate) struct Admitted {
    org: Org,
    pub(crate) content: Bytes,
    held: Reservation,
    pub(crate) traceparent: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteWrite {
    V1,
    V2,
}

impl Gateway {
    /// Takes in metrics by OTLP. `unframe` finds the content in the body, and how it is compressed.
    pub async fn otlp<B: Body<Data = Bytes>>(
        self: &Arc<Self>,
        protocol: &'static str,
        (headers, body): (&HeaderMap, B),
        unframe: impl FnOnce(Bytes) -> Result<(Bytes, Coding), Refusal>,
        json: bool,
    ) -> Result<Tally, Refused> {
        let mut admitted = self.admit(protocol, headers, body, unframe).await?;
        let org = admitted.org.clone();
        let of_org = |refusal| (Some(org.clone()), refusal);
        let Admitted { content, held, .. } = &mut admitted;
        let elements = otlp::elements(content, json).map_err(of_org)?;
        let needed = elements.bytes() + GROWTH * content.len();
        held.grow(needed).map_err(of_org)?;
        let read = if json {
            otlp::from_json
        } else {
            otlp::from_protobuf
        };
        let request = at_length(content.len(), || read(content)).map_err(of_org)?;
        let tally = if otlp::needs_series(&request) {
            // In a task of its own: whoever hangs up must not end it between stored and known.
            let (this, org) = (self.clone(), org.clone());
            let stored =
                tokio::spawn(async move { this.otlp_cumulative(&org, &request, &admitted).await });
            let ended = |_| Refusal::Unavailable("the request was broken off".to_owned());
            stored.await.map_err(ended).and_then(|stored| stored)
        } else {
            self.otlp_plain(&org, &request, &admitted).await
        };
        let tally = tally.map_err(of_org)?;
        self.metrics.book(&org, protocol, &tally);
        Ok(tally)
    }

    async fn otlp_plain(
        &self,
        org: &Org,
        request: &ExportMetricsServiceRequest,
        admitted: &Admitted,
    ) -> Result<Tally, Refusal> {
        let mut batch = self.batch(org);
        let mut staged = Staged::new(self.series.no_room(), [].into_iter());
        let (length, resources) = (admitted.content.len(), &request.resource_metrics);
        at_length(length, || otlp::convert(resources, &mut batch, &mut staged));
        let (messages, tally) = batch.into_placed();
        self.store(org, &messages, admitted.traceparent.as_deref())
            .await?;
        Ok(tally)
    }

    pub async fn remote_write<B: Body<Data = Bytes>>(
        &self,
        protocol: &'static str,
        (headers, body): (&HeaderMap, B),
        version: RemoteWrite,
    ) -> Result<(Tally, Written), Refused> {
        let snappy = |body| Ok((body, Coding::Snappy));
        let mut admitted = self.admit(protocol, headers, body, snappy).await?;
        let org = admitted.org.clone();
        let of_org = |refusal| (Some(org.clone()), refusal);
        let Admitted { content, held, .. } = &mut admitted;
        held.grow(GROWTH * content.len()).map_err(of_org)?;
        let malformed = |error: Malformed| {
            let text = format!("not a remote write request: {error}");
            of_org(Refusal::Malformed(text))
        };
        let decoded = at_length(content.len(), || self.decode(&org, content, version));
        let (messages, tally, written) = decoded.map_err(malformed)?;
        let trace = admitted.traceparent.as_deref();
        let stored = self.store(&org, &messages, trace).await;
        stored.map_err(of_org)?;
        self.metrics.book(&org, protocol, &tally);
        Ok((tally, written))
    }

    fn decode(
        &self,
        org: &Org,
        content: &[u8],
        version: RemoteWrite,
    ) -> Result<(Vec<Placed>, Tally, Written), Malformed> {
        let now = SystemTime::now();
        let spread = self.spread_of(org);
        // What is recognised makes messages for one partition.
        if version == RemoteWrite::V1 && spread.is_none() {
            let known = self.known.with(org, |catalog, composer| {
                remote_write::decode_known(content, (catalog, composer), &self.limits, now)
            });
            if let Some(Decoded {
                messages,
                tally,
                written,
            }) = known
            {
                let placed = messages.into_iter().map(Placed::home).collect();
                return Ok((placed, tally, written));
            }
        }
        let mut batch = Batch::new(&self.limits, now).spread(spread);
        let written = match version {
            RemoteWrite::V1 => remote_write::decode_v1(content, &mut batch),
            RemoteWrite::V2 => remote_write::decode_v2(content, &mut batch),
        }?;
        let (messages, tally) = batch.into_placed();
        Ok((messages, tally, written))
    }

    /// Takes in one message of Ratchet's own format, as it is.
    pub async fn native<B: Body<Data = Bytes>>(
        &self,
        protocol: &'static str,
        (headers, body): (&HeaderMap, B),
        coding: Coding,
    ) -> Result<(), Refused> {
        let unframe = |body| Ok((body, coding));
        let admitted = self.admit(protocol, headers, body, unframe).await?;
        let org = admitted.org;
        let of_org = |refusal| (Some(org.clone()), refusal);
        let malformed = |error: ratchet_codec::payload::PayloadError| {
            let text = format!("not a message ({}): {error}", error.reason());
            of_org(Refusal::Malformed(text))
        };
        let header = validate(&admitted.content).map_err(malformed)?;
        let (points, max) = (header.points as usize, self.limits.points);
        if points > max {
            let text = format!("the message has {points} points, more than {max}");
            return Err(of_org(Refusal::TooLarge(text)));
        }
        let times = self.limits.reach.from(SystemTime::now());
        let checked = times.check(header.min_ts);
        if let Err(reason) = checked.and_then(|()| times.check(header.max_ts)) {
            let text = format!("the message has a point out of reach: {}", reason.name());
            return Err(of_org(Refusal::Malformed(text)));
        }
        let trace = admitted.traceparent.as_deref();
        // It stays whole: any partition of the spread may count any point.
        let hash = XxHash3_64::oneshot(&admitted.content);
        let times_ms = (header.min_ts, header.max_ts);
        let spread = self.spread_of(&org);
        let placed = Placed {
            partition: spread.and_then(|spread| spread.partition(times_ms, hash)),
            body: admitted.content,
        };
        let stored = self.store(&org, &[placed], trace).await;
        stored.map_err(of_org)?;
        self.metrics
            .book(&org, protocol, &Tally::of(header.points.into()));
        Ok(())
    }

    pub(crate) fn batch(&self, org: &Org) -> Batch {
        Batch::new(&self.limits, SystemTime::now()).spread(self.spread_of(org))
    }

    fn spread_of(&self, org: &Org) -> Option<Arc<dyn Spread>> {
        self.spreads.as_ref()?.of(org)
    }

    async fn admit<B: Body<Data = Bytes>>(
        &self,
        protocol: &'static str,
        headers: &HeaderMap,
        body: B,
        unframe: impl FnOnce(Bytes) -> Result<(Bytes, Coding), Refusal>,
    ) -> Result<Admitted, Refused> {
        let org = self
            .access
            .authorize(headers)
            .map_err(|refusal| (None, refusal))?;
        let held = self.budget.reservation(&org);
        let content = self.content(protocol, body, unframe, held).await;
        let (content, held) = content.map_err(|refusal| (Some(org.clone()), refusal))?;
        Ok(Admitted {
            org,
            content,
            held,
            traceparent: traceparent(headers),
        })
    }

    async fn content<B: Body<Data = Bytes>>(
        &self,
        protocol: &'static str,
        body: B,
        unframe: impl FnOnce(Bytes) -> Result<(Bytes, Coding), Refusal>,
        mut held: Reservation,
    ) -> Result<(Bytes, Reservation), Refusal> {
        let sent = body::read(body, &self.limits, &mut held).await?;
        let label = ProtocolLabel { protocol };
        let metrics = &self.metrics;
        metrics
            .body_bytes
            .get_or_create(&label)
            .inc_by(sent.len() as u64);
        let (sent, coding) = unframe(sent)?;
        let most = self.limits.content;
        let content = at_length(sent.len(), || {
            body::decompress(sent, coding, most, &mut held)
        })?;
        metrics
            .content_bytes
            .get_or_create(&label)
            .inc_by(content.len() as u64);
        Ok((content, held))
    }

    async fn store(
        &self,
        org: &Org,
        messages: &[Placed],
        traceparent: Option<&str>,
    ) -> Result<(), Refusal> {
        let manner = Manner { traceparent };
        let stored = self.publisher.store(org, messages, manner).await;
        stored.map_err(|failed| Refusal::Unavailable(failed.0))?;
        self.count_stored(messages);
        Ok(())
    }

    pub(crate) fn count_stored(&self, messages: &[Placed]) {
        let bytes: usize = messages.iter().map(|placed| placed.body.len()).sum();
        self.metrics.messages.inc_by(messages.len() as u64);
        self.metrics.message_bytes.inc_by(bytes as u64);
    }
}

/// Does what may take long without holding up other requests.
pub(crate) fn at_length<T>(length: usize, work: impl FnOnce() -> T) -> T {
    if length > LARGE {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}
