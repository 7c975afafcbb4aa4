//! Requests with cumulative points: their differences and their totals are stored together.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use twox_hash::XxHash3_128;

use crate::budget::Reservation;
use crate::gateway::{at_length, Admitted, Gateway};
use crate::organization::Org;
use crate::otlp::{self, ExportMetricsServiceRequest};
use crate::publish::Manner;
use crate::refusal::Refusal;
use crate::series::shelf::Quota;
use crate::series::{Locked, Plan, Source, SourceId, Staged};
use crate::spread::Placed;
use crate::tally::Tally;
use crate::together::{Entry, NotTogether, Together};

/// Resources whose points are stored at once: of each there is a record besides the messages.
const RESOURCES_MAX: usize = 256;
/// How often a request is tried whose series others take too at the same time.
const ATTEMPTS: usize = 5;
/// Sources that are read at a time.
const READ_AT_ONCE: usize = 32;
/// How often a source is looked at until all that was old of it is stored again.
const KEEPS_MAX: usize = 64;
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Points of some resources of a request.
struct Counted<'a> {
    resources: &'a [ResourceMetrics],
    /// By this name the stream knows them if they come again.
    name: String,
    length: usize,
    traceparent: Option<&'a str>,
    /// What its request has reserved.
    held: &'a Reservation,
}

/// Why points are not stored.
enum NotCounted {
    /// They and the totals are too much to be stored at once; if they cannot be parted, that is why
    /// they are refused.
    TooMany(Refusal),
    Refused(Refusal),
}

impl From<Refusal> for NotCounted {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Gateway {
    /// Takes in a request as a whole, or in stretches of its resources: one that was stored before
    /// the request failed is known when it comes again.
    pub(crate) async fn otlp_cumulative(
        &self,
        org: &Org,
        request: &ExportMetricsServiceRequest,
        admitted: &Admitted,
    ) -> Result<Tally, Refusal> {
        let content = XxHash3_128::oneshot(&admitted.content);
        let all = &request.resource_metrics;
        let ends = (0..all.len()).step_by(RESOURCES_MAX);
        let stretches = ends.map(|from| from..(from + RESOURCES_MAX).min(all.len()));
        let mut left: Vec<_> = stretches.rev().collect();
        let mut tally = Tally::default();
        while let Some(stretch) = left.pop() {
            let counted = Counted {
                resources: &all[stretch.clone()],
                name: format!("{org}-{content:032x}-{}-{}", stretch.start, stretch.end),
                length: admitted.content.len(),
                traceparent: admitted.traceparent.as_deref(),
                held: &admitted.held,
            };
            match self.store_counted(org, &counted, tally.clone()).await {
                Ok(sum) => tally = sum,
                Err(NotCounted::TooMany(_)) if stretch.len() > 1 => {
                    let middle = stretch.start + stretch.len() / 2;
                    left.extend([middle..stretch.end, stretch.start..middle]);
                }
                Err(NotCounted::TooMany(refusal) | NotCounted::Refused(refusal)) => {
                    return Err(refusal);
                }
            }
        }
        Ok(tally)
    }

    async fn store_counted(
        &self,
        org: &Org,
        counted: &Counted<'_>,
        before: Tally,
    ) -> Result<Tally, NotCounted> {
        let ids = otlp::sources(counted.resources).collect();
        let mut sources = self.series.lock(org, ids, self.limits.store_time).await?;
        let began = Instant::now();
        for _ in 0..ATTEMPTS {
            if began.elapsed() > self.limits.store_time {
                break;
            }
            self.read_totals(org, &mut sources).await?;
            let quota = sources.quota(self.publisher.oldest().await);
            let (messages, plans, tally) =
                self.rise(org, counted, (&sources, quota), before.clone());
            let held = wait_beside(counted, &messages, &plans)?;
            let entries = || self.entries(org, counted, &messages, (&sources, plans));
            let (entries, plans) = at_length(held.bytes(), entries);
            match self.publisher.together(entries).await {
                Ok(first) => {
                    commit(&mut sources, plans, first);
                    self.count_stored(&messages);
                    return Ok(tally);
                }
                // All of it is stored, by a request that got no answer. What cannot be read now is
                // read by the next request.
                Err(NotTogether::Repeated) => {
                    sources.doubt();
                    let _ = self.read_totals(org, &mut sources).await;
                    let repeated = messages.len() as u64;
                    self.metrics.repeated_messages.inc_by(repeated);
                    return Ok(tally);
                }
                Err(NotTogether::Outdated) => sources.outdate(),
                Err(NotTogether::Busy) => return Err(Refusal::Overloaded.into()),
                Err(NotTogether::Unknown(why)) => {
                    sources.doubt();
                    return Err(Refusal::Unavailable(why).into());
                }
                Err(error @ (NotTogether::Refused(_) | NotTogether::TooMany(_))) => {
                    return Err(Refusal::Unavailable(error.to_string()).into());
                }
            }
        }
        let text = "other gateways take points of the same series at the same time";
        Err(Refusal::Unavailable(text.to_owned()).into())
    }

    /// What the points come to on top of what is known, and what is to be known then.
    fn rise(
        &self,
        org: &Org,
        counted: &Counted<'_>,
        (sources, quota): (&Locked<'_>, Quota),
        before: Tally,
    ) -> (Vec<Placed>, HashMap<SourceId, Plan>, Tally) {
        let mut batch = self.batch(org);
        batch.tally = before;
        let plans = at_length(counted.length, || {
            let mut staged = Staged::new(quota, sources.iter());
            otlp::convert(counted.resources, &mut batch, &mut staged);
            let mut updates: HashMap<_, _> = staged.into_updates().collect();
            let now = Instant::now();
            let plan = |(id, source): (SourceId, &Source)| {
                Some((id, source.plan(updates.remove(&id)?, now)))
            };
            sources.iter().filter_map(plan).collect()
        });
        let (messages, tally) = batch.into_placed();
        (messages, plans, tally)
    }

    /// All that is stored, and where in it the first record of each source is.
    fn entries(
        &self,
        org: &Org,
        counted: &Counted<'_>,
        messages: &[Placed],
        (sources, plans): (&Locked<'_>, HashMap<SourceId, Plan>),
    ) -> (Vec<Entry>, Vec<(SourceId, Plan, usize)>) {
        let manner = Manner {
            traceparent: counted.traceparent,
        };
        let mut entries: Vec<_> = messages
            .iter()
            .map(|message| self.publisher.entry(org, message, manner))
            .collect();
        if let Some(first) = entries.first_mut() {
            self.publisher.name(first, &counted.name);
        }
        let mut placed = Vec::with_capacity(plans.len());
        let mut plans = plans;
        for (id, source) in sources.iter() {
            let Some(plan) = plans.remove(&id) else {
                continue;
            };
            let at = entries.len();
            entries.extend(records(org, id, (source, &plan)));
            placed.push((id, plan, at));
        }
        (entries, placed)
    }

    /// Finds out what is stored of sources of which that is not known.
    async fn read_totals(&self, org: &Org, sources: &mut Locked<'_>) -> Result<(), Refusal> {
        let unknown = sources.iter_mut().filter(|(_, source)| !source.is_known());
        let read = stream::iter(unknown.map(Ok::<_, Refusal>));
        let read = read.try_for_each_concurrent(READ_AT_ONCE, |(id, source)| async move {
            self.publisher.totals.read(org, id, source).await
        });
        let read = tokio::time::timeout(self.limits.store_time, read).await;
        let late = "the totals that are stored could not be read in time";
        read.unwrap_or_else(|_| Err(Refusal::Unavailable(late.to_owned())))?;
        sources.recount();
        Ok(())
    }

    /// Forgets idle series, and stores again what INGEST would be swept of, for ever.
    pub async fn keep_series_for_ever(&self) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            self.keep_series(Instant::now()).await;
        }
    }

    async fn keep_series(&self, now: Instant) {
        let due = stream::iter(self.series.sweep(now));
        let kept = due.for_each_concurrent(READ_AT_ONCE, |(org, id)| async move {
            if let Err(error) = self.keep(&org, id, now).await {
                tracing::debug!(%org, %error, "totals are not stored again");
            }
        });
        kept.await;
    }

    /// Stores again what is old of a source, some parts at a time, after reading what others stored
    /// of it.
    async fn keep(&self, org: &Org, id: SourceId, now: Instant) -> Result<(), Refusal> {
        let locked = self.series.lock(org, vec![id], self.limits.store_time);
        let mut sources = locked.await?;
        for _ in 0..KEEPS_MAX {
            self.read_totals(org, &mut sources).await?;
            let Some(source) = sources.get_mut(id).filter(|source| source.is_due(now)) else {
                break;
            };
            let plan = source.plan_again(now);
            let entries = records(org, id, (source, &plan)).collect();
            match self.publisher.together(entries).await {
                Ok(first) => source.commit(plan, first),
                Err(NotTogether::Outdated) => source.outdate(),
                Err(NotTogether::Unknown(why)) => {
                    source.doubt();
                    return Err(Refusal::Unavailable(why));
                }
                Err(error) => return Err(Refusal::Unavailable(error.to_string())),
            }
        }
        Ok(())
    }
}

/// Reserves what is to wait until it is stored: a few points may rewrite records of many times
/// their size. The messages are among what the request has reserved.
fn wait_beside(
    counted: &Counted<'_>,
    messages: &[Placed],
    plans: &HashMap<SourceId, Plan>,
) -> Result<Reservation, NotCounted> {
    let records: usize = plans.values().map(Plan::len).sum();
    let bytes = plans.values().map(|plan| plan.bytes).sum();
    let takes = Together::takes(messages.len() + records);
    takes.map_err(|error| NotCounted::TooMany(Refusal::TooLarge(error.to_string())))?;
    counted.held.beside(bytes).map_err(|refusal| match refusal {
        Refusal::TooLarge(_) => NotCounted::TooMany(refusal),
        refusal => NotCounted::Refused(refusal),
    })
}

/// The records of a plan as messages.
fn records<'a>(
    org: &'a Org,
    id: SourceId,
    (source, plan): (&Source, &Plan),
) -> impl Iterator<Item = Entry> + use<'a> {
    let expected = plan.expected;
    source.records(plan).into_iter().map(move |(part, body)| {
        let entry = Entry {
            subject: crate::totals::subject(org, id, part),
            headers: Vec::new(),
            body: Bytes::from(body),
        };
        match part {
            0 => entry.expecting(expected),
            _ => entry,
        }
    })
}

fn commit(sources: &mut Locked<'_>, plans: Vec<(SourceId, Plan, usize)>, first: u64) {
    for (id, plan, at) in plans {
        if let Some(source) = sources.get_mut(id) {
            source.commit(plan, first + at as u64);
        }
    }
    sources.recount();
}
