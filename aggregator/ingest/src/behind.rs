//! Who sends more than its partition keeps up with, at the cost of its neighbours.
//!
//! Aggregators tell it by a plain message on `behind.<org>`, again and again while it holds. For a
//! moment after each the organization is refused with 429, before a body is read, so that what
//! waits becomes less. A gateway that hears nothing refuses nothing.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use async_nats::Client;
use futures::StreamExt;
use parking_lot::Mutex;

use crate::organization::Org;
use crate::refusal::Refusal;

const PREFIX: &str = "behind.";
/// Twice as long as until it is told again.
const HELD_OFF: Duration = Duration::from_secs(1);
/// With so many, those are forgotten whose moment is over; beyond, nobody else is held off.
const ORGS_MAX: usize = 4_096;
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// Where aggregators tell of an organization.
pub fn subject(org: &str) -> String {
    format!("{PREFIX}{org}")
}

#[derive(Default)]
pub struct Behind {
    until: Mutex<HashMap<Org, Instant>>,
}

impl Behind {
    /// Refuses an organization that was told of a moment ago.
    pub fn check(&self, org: &Org, now: Instant) -> Result<(), Refusal> {
        match self.until.lock().get(org) {
            Some(until) if now < *until => Err(Refusal::Behind),
            _ => Ok(()),
        }
    }

    /// Listens to aggregators for ever.
    pub async fn listen(&self, client: &Client) {
        loop {
            match client.subscribe(subject("*")).await {
                Ok(mut told) => {
                    while let Some(message) = told.next().await {
                        self.hear(&message.subject, Instant::now());
                    }
                }
                Err(error) => tracing::warn!(%error, "aggregators are not listened to"),
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    fn hear(&self, subject: &str, now: Instant) {
        let Some(Ok(org)) = subject.strip_prefix(PREFIX).map(Org::parse) else {
            return;
        };
        let mut until = self.until.lock();
        if until.len() >= ORGS_MAX && !until.contains_key(&org) {
            until.retain(|_, until| now < *until);
            if until.len() >= ORGS_MAX {
                return;
            }
        }
        until.insert(org, now + HELD_OFF);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn org(name: &str) -> Org {
        Org::parse(name).unwrap()
    }

    /// Subjects that are heard at so many milliseconds, and who is refused at others.
    fn check(heard: &[(u64, &str)], asked: &[(u64, &str, bool)]) {
        let (behind, began) = (Behind::default(), Instant::now());
        let at = |ms: &u64| began + Duration::from_millis(*ms);
        for (ms, subject) in heard {
            behind.hear(subject, at(ms));
        }
        for (ms, name, refused) in asked {
            let expected = if *refused {
                Err(Refusal::Behind)
            } else {
                Ok(())
            };
            assert_eq!(behind.check(&org(name), at(ms)), expected, "{name} at {ms}");
        }
    }

    #[test]
    fn whoever_is_behind_is_refused_for_a_moment() {
        let acme = subject("acme");
        check(&[], &[(0, "acme", false)]);
        let told = [(0, acme.as_str())];
        check(&told, &[(999, "acme", true), (999, "globex", false)]);
        check(&told, &[(1_000, "acme", false)]);
        check(&[told[0], (500, &acme)], &[(1_400, "acme", true)]);
        let others = ["behind.", "behind.a.b", "behind.A b", "acme", "behind"];
        check(&others.map(|subject| (0, subject)), &[(1, "acme", false)]);
    }

    #[test]
    fn those_who_are_behind_are_bounded() {
        let (behind, began) = (Behind::default(), Instant::now());
        for n in 0..ORGS_MAX {
            behind.hear(&subject(&format!("org-{n}")), began);
        }
        behind.hear(&subject("one-more"), began);
        assert_eq!(behind.check(&org("one-more"), began), Ok(()));
        let later = began + HELD_OFF;
        behind.hear(&subject("one-more"), later);
        assert!(behind.check(&org("one-more"), later).is_err());
        assert_eq!(behind.until.lock().len(), 1);
    }
}
