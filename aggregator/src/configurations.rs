//! Watches the bucket `configurations`, and keeps the directory up to date.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::kv::{Entry as BucketEntry, Operation, Store};
use futures::StreamExt;
use tokio::sync::watch;

use crate::directory::{parse_entry, EntryError};
use crate::identity::Org;
use crate::nats::reconnected;
use crate::shared::Shared;
use crate::timeline::Entry;

/// The bucket is asked anew so often, so that a watch that went silent cannot hide a change.
const READ_AGAIN_EVERY: Duration = Duration::from_secs(30);
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Follows the bucket for ever; `listed` becomes true once its present content is taken in.
pub async fn follow(store: Store, shared: Arc<Shared>, listed: watch::Sender<bool>) {
    let mut revision = 0;
    loop {
        match follow_once(&store, &shared, &listed, &mut revision).await {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(error, "watching configurations failed; listing again");
                tokio::time::sleep(RETRY_DELAY).await;
            }
        }
    }
}

/// Watches from the revision after `revision`, all of them: a timeline needs the history.
async fn follow_once(
    store: &Store,
    shared: &Shared,
    listed: &watch::Sender<bool>,
    revision: &mut u64,
) -> Result<(), String> {
    let values = store
        .status()
        .await
        .map_err(|error| error.to_string())?
        .values();
    let watch = store.watch_all_from_revision(*revision + 1).await;
    let mut watch = watch.map_err(|error| error.to_string())?;
    if values == 0 {
        listed.send_replace(true);
    }
    let mut connections = shared.connections.subscribe();
    let until = tokio::time::sleep(READ_AGAIN_EVERY);
    tokio::pin!(until);
    loop {
        let entry = tokio::select! {
            entry = watch.next() => entry,
            () = reconnected(&mut connections) => return Ok(()),
            () = &mut until, if *listed.borrow() => return Ok(()),
        };
        let entry = entry
            .ok_or("the watch ended")?
            .map_err(|error| error.to_string())?;
        *revision = (*revision).max(entry.revision);
        apply(shared, &entry);
        if entry.delta == 0 {
            listed.send_replace(true);
        }
    }
}

fn apply(shared: &Shared, bucket_entry: &BucketEntry) {
    let Ok(org) = Org::parse(&bucket_entry.key) else {
        tracing::warn!(key = bucket_entry.key, "configuration of no organization");
        return;
    };
    let fresh = read(&org, bucket_entry).and_then(|entry| {
        let told = (
            entry.effective_from_ms,
            entry.configuration.as_ref().map(|c| c.digest),
        );
        let fresh = shared.directory.apply(&org, bucket_entry.revision, entry)?;
        Ok(fresh.then_some(told))
    });
    match fresh {
        Ok(None) => {}
        Ok(Some((effective_from_ms, digest))) => {
            let fields = serde_json::json!({
                "digest": digest.map(|d| d.to_string()),
                "effective_from_ms": effective_from_ms,
            });
            shared.events.send(org.as_str(), "configured", fields);
        }
        Err(error) => {
            let fields = serde_json::json!({
                "reason": "malformed-configuration",
                "detail": error.to_string(),
                "revision": bucket_entry.revision,
            });
            shared.events.send(org.as_str(), "refused", fields);
        }
    }
}

fn read(org: &Org, entry: &BucketEntry) -> Result<Entry, EntryError> {
    match entry.operation {
        Operation::Put => parse_entry(org, &entry.value),
        // Removed: no window that starts from now on is served.
        Operation::Delete | Operation::Purge => {
            let created_ms = entry.created.unix_timestamp_nanos() / 1_000_000;
            Ok(Entry {
                effective_from_ms: created_ms as i64,
                configuration: None,
            })
        }
    }
}
