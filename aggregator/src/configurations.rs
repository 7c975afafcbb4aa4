//! Watches the bucket `configurations`, and keeps the directory up to date.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::kv::{Entry as BucketEntry, Operation, Store};
use futures::StreamExt;
use serde_json::Value;
use tokio::sync::watch;

use crate::chronicle::{Revision, VISIBLE_AFTER_MS};
use crate::directory::{parse_entry, Directory, EntryError};
use crate::events::Events;
use crate::identity::Org;
use crate::nats::{reconnected, Connections};
use crate::timeline::Entry;

/// The bucket is asked anew so often, so that a watch that went silent cannot hide a change.
const READ_AGAIN_EVERY: Duration = Duration::from_secs(30);
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Stream time between two questions; less than after what time a revision counts.
const ASK_EVERY_MS: i64 = VISIBLE_AFTER_MS * 2 / 5;
/// How long a revision may be announced and not come before it is no longer waited for.
const LATE_MAX: Duration = Duration::from_secs(5);

/// Follows the bucket for ever; `listed` becomes true once its present content is taken in.
pub async fn follow(
    store: Store,
    directory: Arc<Directory>,
    connections: Connections,
    events: Option<Events>,
    listed: watch::Sender<bool>,
) {
    let mut follower = Follower {
        store,
        directory,
        connections,
        events,
        listed,
        revision: 0,
        announced: None,
    };
    loop {
        if let Err(error) = follower.follow_once().await {
            tracing::warn!(error, "watching configurations failed; listing again");
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }
}

/// What the bucket holds by now, asked after a moment of the stream.
struct Announced {
    revision: u64,
    seen_ms: i64,
    asked: Instant,
}

struct Follower {
    store: Store,
    directory: Arc<Directory>,
    connections: Connections,
    /// Told of what changed, if it is this process's to tell.
    events: Option<Events>,
    listed: watch::Sender<bool>,
    /// The newest that was taken in.
    revision: u64,
    announced: Option<Announced>,
}

impl Follower {
    /// Watches from the revision after the newest, all of them: a chronicle needs the history.
    async fn follow_once(&mut self) -> Result<(), String> {
        let values = self.store.status().await;
        let values = values.map_err(|error| error.to_string())?.values();
        let watch = self.store.watch_all_from_revision(self.revision + 1).await;
        let mut watch = watch.map_err(|error| error.to_string())?;
        if values == 0 {
            self.listed.send_replace(true);
        }
        let mut connections = self.connections.subscribe();
        let mut seen = self.directory.completeness.subscribe();
        let until = tokio::time::sleep(READ_AGAIN_EVERY);
        tokio::pin!(until);
        loop {
            self.announce().await?;
            self.tell_completeness();
            tokio::select! {
                entry = watch.next() => {
                    let entry = entry.ok_or("the watch ended")?;
                    self.take(&entry.map_err(|error| error.to_string())?);
                }
                () = reconnected(&mut connections) => return Ok(()),
                () = &mut until, if *self.listed.borrow() => return Ok(()),
                changed = seen.changed(), if self.announced.is_none() => {
                    changed.map_err(|error| error.to_string())?;
                }
                () = tokio::time::sleep(LATE_MAX), if self.announced.is_some() => {}
            }
        }
    }

    fn take(&mut self, entry: &BucketEntry) {
        self.revision = self.revision.max(entry.revision);
        self.apply(entry);
        if entry.delta == 0 {
            self.listed.send_replace(true);
        }
    }

    /// Asks how far the bucket reaches, after what the readers have seen, if they will need it.
    async fn announce(&mut self) -> Result<(), String> {
        let wanted = self.directory.completeness.wanted_ms(ASK_EVERY_MS);
        let (None, Some(seen_ms)) = (&self.announced, wanted) else {
            return Ok(());
        };
        let info = self.store.stream.get_info().await;
        let info = info.map_err(|error| error.to_string())?;
        self.announced = Some(Announced {
            revision: info.state.last_sequence,
            seen_ms,
            asked: Instant::now(),
        });
        Ok(())
    }

    fn tell_completeness(&mut self) {
        let Some(announced) = &self.announced else {
            return;
        };
        let late = announced.asked.elapsed() >= LATE_MAX;
        if self.revision < announced.revision && !late {
            return;
        }
        if late {
            let revision = announced.revision;
            tracing::warn!(revision, "a configuration was announced and did not come");
        }
        self.directory.completeness.complete(announced.seen_ms);
        self.announced = None;
    }

    fn apply(&self, bucket_entry: &BucketEntry) {
        let Ok(org) = Org::parse(&bucket_entry.key) else {
            tracing::warn!(key = bucket_entry.key, "configuration of no organization");
            return;
        };
        let fresh = read(&org, bucket_entry).and_then(|entry| {
            let told = (
                entry.effective_from_ms,
                entry.configuration.as_ref().map(|c| c.digest),
            );
            let revision = Revision {
                number: bucket_entry.revision,
                stored_ms: stored_ms(bucket_entry),
                entry,
            };
            let fresh = self.directory.apply(&org, revision)?;
            Ok(fresh.then_some(told))
        });
        match fresh {
            Ok(None) => {}
            Ok(Some((effective_from_ms, digest))) => {
                let fields = serde_json::json!({
                    "digest": digest.map(|d| d.to_string()),
                    "effective_from_ms": effective_from_ms,
                });
                self.tell(&org, "configured", fields);
            }
            Err(error) => {
                let fields = serde_json::json!({
                    "reason": "malformed-configuration",
                    "detail": error.to_string(),
                    "revision": bucket_entry.revision,
                });
                self.tell(&org, "refused", fields);
            }
        }
    }

    fn tell(&self, org: &Org, kind: &str, fields: Value) {
        if let Some(events) = &self.events {
            events.send(org.as_str(), kind, fields);
        }
    }
}

fn stored_ms(entry: &BucketEntry) -> i64 {
    let ms = entry.created.unix_timestamp_nanos() / 1_000_000;
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn read(org: &Org, entry: &BucketEntry) -> Result<Entry, EntryError> {
    match entry.operation {
        Operation::Put => parse_entry(org, &entry.value),
        // Removed: no window is served that starts once this counts.
        Operation::Delete | Operation::Purge => Ok(Entry {
            effective_from_ms: stored_ms(entry).saturating_add(VISIBLE_AFTER_MS),
            configuration: None,
            spread: 1,
        }),
    }
}
