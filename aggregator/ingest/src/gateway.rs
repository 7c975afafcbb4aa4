//! The way of a request, whatever its protocol: who sends it, its bytes, its points, the stream.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::http::HeaderMap;
use bytes::Bytes;
use hyper::body::Body;
use ratchet_codec::payload::{validate, PayloadError};
use twox_hash::XxHash3_64;

use crate::access::Access;
use crate::batch::Batch;
use crate::behind::Behind;
use crate::body::{self, Coding};
use crate::budget::{Budget, Reservation};
use crate::known::Shelf;
use crate::metrics::{Metrics, ProtocolLabel};
use crate::organization::Org;
use crate::otlp::{self, ExportMetricsServiceRequest};
use crate::publish::{Manner, Publisher};
use crate::rates::Rates;
use crate::refusal::Refusal;
use crate::remote_write::{self, Decoded, Written};
use crate::series::{Series, Staged};
use crate::settings::Limits;
use crate::spread::{Placed, Spread, Spreads};
use crate::tally::Tally;
use crate::trace::{traceparent, RequestTrace, RequestTraces};
use crate::wire::Malformed;

/// Bodies larger than this are decoded where they hold up nobody else.
const LARGE: usize = 1024 * 1024;
/// What points and messages take, as a multiple of the bytes that they are made from.
const GROWTH: usize = 4;

pub struct Gateway {
    pub limits: Limits,
    pub access: Access,
    pub budget: Budget,
    pub rates: Rates,
    pub behind: Behind,
    pub publisher: Publisher,
    pub series: Series,
    pub known: Shelf,
    /// Without it every point goes home.
    pub spreads: Option<Arc<dyn Spreads>>,
    /// Without it no request has a trace of its own.
    pub traces: Option<Arc<dyn RequestTraces>>,
    pub metrics: Metrics,
}

/// A refusal, and of whom if that was known.
pub type Refused = (Option<Org>, Refusal);

/// A request whose bytes are all there.
pub(crate) struct Admitted {
    pub(crate) content: Bytes,
    pub(crate) held: Reservation,
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
        let mut asked = self.authorize(protocol, headers)?;
        let taken = self.take_otlp(&mut asked, body, unframe, json).await;
        asked.end(taken, |tally| tally)
    }

    async fn take_otlp<B: Body<Data = Bytes>>(
        self: &Arc<Self>,
        asked: &mut Asked<'_>,
        body: B,
        unframe: impl FnOnce(Bytes) -> Result<(Bytes, Coding), Refusal>,
        json: bool,
    ) -> Result<Tally, Refusal> {
        let mut admitted = self.admit(asked, body, unframe).await?;
        let org = asked.org.clone();
        let Admitted { content, held, .. } = &mut admitted;
        let elements = otlp::elements(content, json)?;
        held.grow(elements.bytes() + GROWTH * content.len())?;
        let read = if json {
            otlp::from_json
        } else {
            otlp::from_protobuf
        };
        let request = at_length(content.len(), || read(content))?;
        if !otlp::needs_series(&request) {
            return self.otlp_plain(&org, &request, &admitted).await;
        }
        // In a task of its own: whoever hangs up must not end it between stored and known.
        let this = self.clone();
        let stored =
            tokio::spawn(async move { this.otlp_cumulative(&org, &request, &admitted).await });
        let ended = |_| Refusal::Unavailable("the request was broken off".to_owned());
        stored.await.map_err(ended)?
    }

    async fn otlp_plain(
        &self,
        org: &Org,
        request: &ExportMetricsServiceRequest,
        admitted: &Admitted,
    ) -> Result<Tally, Refusal> {
        let mut batch = self.batch(org);
        let mut staged = Staged::new(self.series.no_quota(), [].into_iter());
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
        let mut asked = self.authorize(protocol, headers)?;
        let taken = self.take_remote_write(&mut asked, body, version).await;
        asked.end(taken, |(tally, _)| tally)
    }

    async fn take_remote_write<B: Body<Data = Bytes>>(
        &self,
        asked: &mut Asked<'_>,
        body: B,
        version: RemoteWrite,
    ) -> Result<(Tally, Written), Refusal> {
        let snappy = |body| Ok((body, Coding::Snappy));
        let mut admitted = self.admit(asked, body, snappy).await?;
        let org = &asked.org;
        let Admitted { content, held, .. } = &mut admitted;
        let malformed =
            |error: Malformed| Refusal::Malformed(format!("not a remote write request: {error}"));
        let table = match version {
            RemoteWrite::V1 => 0,
            RemoteWrite::V2 => remote_write::table_bytes(content).map_err(malformed)?,
        };
        held.grow(table + GROWTH * content.len())?;
        let decoded = at_length(content.len(), || self.decode(org, content, version));
        let (messages, tally, written) = decoded.map_err(malformed)?;
        self.store(org, &messages, admitted.traceparent.as_deref())
            .await?;
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
        let mut asked = self.authorize(protocol, headers)?;
        let taken = self.take_native(&mut asked, body, coding).await;
        asked.end(taken, |tally| tally).map(|_| ())
    }

    async fn take_native<B: Body<Data = Bytes>>(
        &self,
        asked: &mut Asked<'_>,
        body: B,
        coding: Coding,
    ) -> Result<Tally, Refusal> {
        let admitted = self.admit(asked, body, |body| Ok((body, coding))).await?;
        let org = &asked.org;
        let malformed = |error: PayloadError| {
            Refusal::Malformed(format!("not a message ({}): {error}", error.reason()))
        };
        let header = validate(&admitted.content).map_err(malformed)?;
        let (points, max) = (header.points as usize, self.limits.points);
        if points > max {
            let text = format!("the message has {points} points, more than {max}");
            return Err(Refusal::TooLarge(text));
        }
        let times = self.limits.reach.from(SystemTime::now());
        let checked = times.check(header.min_ts);
        if let Err(reason) = checked.and_then(|()| times.check(header.max_ts)) {
            let text = format!("the message has a point out of reach: {}", reason.name());
            return Err(Refusal::Malformed(text));
        }
        // It stays whole: any partition of the spread may count any point.
        let hash = XxHash3_64::oneshot(&admitted.content);
        let times_ms = (header.min_ts, header.max_ts);
        let spread = self.spread_of(org);
        let spread = spread.filter(|spread| spread.is_certain(times_ms));
        let placed = Placed {
            partition: spread.and_then(|spread| spread.partition(times_ms, hash)),
            body: admitted.content,
        };
        self.store(org, &[placed], admitted.traceparent.as_deref())
            .await?;
        Ok(Tally::of(header.points.into()))
    }

    pub(crate) fn batch(&self, org: &Org) -> Batch {
        Batch::new(&self.limits, SystemTime::now()).spread(self.spread_of(org))
    }

    fn spread_of(&self, org: &Org) -> Option<Arc<dyn Spread>> {
        self.spreads.as_ref()?.of(org)
    }

    /// Finds out who asks. Nothing of a request is read before.
    fn authorize(&self, protocol: &'static str, headers: &HeaderMap) -> Result<Asked<'_>, Refused> {
        let org = self.access.authorize(headers);
        let org = org.map_err(|refusal| (None, refusal))?;
        let now = Instant::now();
        let checked = self.rates.check(&org, now);
        let checked = checked.and_then(|()| self.behind.check(&org, now));
        checked.map_err(|refusal| (Some(org.clone()), refusal))?;
        let parent = traceparent(headers);
        let traces = self.traces.as_deref();
        let trace = traces.and_then(|traces| traces.begin(parent.as_deref(), &org, protocol));
        Ok(Asked {
            gateway: self,
            org,
            protocol,
            parent,
            trace,
        })
    }

    async fn admit<B: Body<Data = Bytes>>(
        &self,
        asked: &mut Asked<'_>,
        body: B,
        unframe: impl FnOnce(Bytes) -> Result<(Bytes, Coding), Refusal>,
    ) -> Result<Admitted, Refusal> {
        let held = self.budget.reservation(&asked.org);
        let (content, held) = self.content(asked.protocol, body, unframe, held).await?;
        let own = asked.trace.as_ref().map(|trace| trace.traceparent());
        Ok(Admitted {
            content,
            held,
            traceparent: own.or(asked.parent.take()),
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

/// A request of somebody known.
struct Asked<'a> {
    gateway: &'a Gateway,
    org: Org,
    protocol: &'static str,
    /// Its header `traceparent`.
    parent: Option<String>,
    trace: Option<Box<dyn RequestTrace>>,
}

impl Asked<'_> {
    /// Books how it ended.
    fn end<T>(
        self,
        taken: Result<T, Refusal>,
        tally: impl FnOnce(&T) -> &Tally,
    ) -> Result<T, Refused> {
        match taken {
            Ok(taken) => {
                let tally = tally(&taken);
                self.gateway.metrics.book(&self.org, self.protocol, tally);
                let rates = &self.gateway.rates;
                rates.charge(&self.org, tally.written, Instant::now());
                if let Some(trace) = self.trace {
                    trace.stored(tally);
                }
                Ok(taken)
            }
            Err(refusal) => {
                if let Some(trace) = self.trace {
                    trace.refused(&refusal);
                }
                Err((Some(self.org), refusal))
            }
        }
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
