//! How far the organizations' configurations are known.
//!
//! A message may be served once every configuration that counts for it is known. Whoever reads the
//! stream tells how far it has come; whoever watches the bucket then asks how far that reaches by
//! now, and tells when it has taken all of it in. What was stored before the message was received
//! is among it, because the question came after the message.

use tokio::sync::watch;

/// Moments of the server, in milliseconds. Cloning shares them.
#[derive(Clone)]
pub struct Completeness {
    /// The newest moment that a reader has seen.
    seen_ms: watch::Sender<i64>,
    /// Everything that was stored up to here is known.
    known_ms: watch::Sender<i64>,
}

impl Default for Completeness {
    fn default() -> Self {
        Self {
            seen_ms: watch::Sender::new(i64::MIN),
            known_ms: watch::Sender::new(i64::MIN),
        }
    }
}

impl Completeness {
    /// Returns once everything that was stored up to `needed_ms` is known; `seen_ms` is the moment
    /// of the message that is to be served.
    pub async fn wait(&self, seen_ms: i64, needed_ms: i64) {
        self.see(seen_ms);
        if *self.known_ms.borrow() >= needed_ms {
            return;
        }
        // The sender lives as long as this.
        let mut known = self.known_ms.subscribe();
        let _ = known.wait_for(|known_ms| *known_ms >= needed_ms).await;
    }

    /// A reader has come so far, or will: this is a moment of the stream that has passed.
    pub fn see(&self, moment_ms: i64) {
        self.seen_ms.send_if_modified(|seen| {
            let newer = moment_ms > *seen;
            *seen = moment_ms.max(*seen);
            newer
        });
    }

    /// The moment to ask for, if the readers may soon need it; soon is before they have to wait.
    pub fn wanted_ms(&self, ahead_ms: i64) -> Option<i64> {
        let (seen_ms, known_ms) = (*self.seen_ms.borrow(), *self.known_ms.borrow());
        (seen_ms > known_ms.saturating_add(ahead_ms)).then_some(seen_ms)
    }

    /// Everything that was stored up to here is known.
    pub fn known_ms(&self) -> i64 {
        *self.known_ms.borrow()
    }

    /// Sees what readers see from now on.
    pub fn subscribe(&self) -> watch::Receiver<i64> {
        self.seen_ms.subscribe()
    }

    /// Everything that was stored up to a moment is known.
    pub fn complete(&self, until_ms: i64) {
        self.known_ms.send_if_modified(|known| {
            let newer = until_ms > *known;
            *known = until_ms.max(*known);
            newer
        });
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn whoever_reads_waits_for_what_counts() {
        let completeness = Completeness::default();
        let waits = |seen, needed| completeness.wait(seen, needed).now_or_never().is_none();
        assert!(waits(5_000, 4_000));
        assert_eq!(completeness.wanted_ms(400), Some(5_000));
        completeness.complete(4_500);
        assert_eq!(completeness.wanted_ms(500), None);
        assert!(!waits(5_000, 4_000) && waits(6_000, 5_000));
        completeness.complete(100);
        assert!(!waits(5_400, 4_400), "it never falls");
    }
}
