//! The fleet module's question: put to the held-back messages of many organizations, each under
//! its own rules, and answered with one word.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream;
use ratchet_sandbox::bench::Ratio;
use ratchet_sandbox::evaluate::{Evaluation, Options, Verdict};
use ratchet_trust::Sha256Digest;

use super::held_back::{self, TRAINING, VALIDATION};
use super::ledger::Word;
use super::wire::{Answer, Refused};
use super::{Knowledge, Tenant};

/// What serves everybody is not judged by the traffic of one.
pub const ORGANIZATIONS_MIN: usize = 2;
/// Organizations that one question meets; the seed chooses among more.
const ORGANIZATIONS_MAX: usize = 16;
/// Timing of all of them together.
const TIMING: Duration = Duration::from_secs(20);
/// An organization whose ratio is surely below this loses by the candidate.
const LOSS: f64 = 0.98;
/// What the lower bound of the mean ratio must exceed.
const RATIO_MIN: f64 = 1.1;

/// What an evaluation comes to. Everything but the word is for operators of this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub word: Word,
    pub detail: String,
    pub messages: usize,
    pub ratio: Option<f64>,
}

impl Finding {
    fn failed(detail: String) -> Self {
        Self {
            word: Word::Fail,
            detail,
            messages: 0,
            ratio: None,
        }
    }
}

/// Of one organization alone.
impl From<&Evaluation> for Finding {
    fn from(evaluation: &Evaluation) -> Self {
        let (word, detail) = match &evaluation.verdict {
            Verdict::Pass => (Word::Pass, String::new()),
            Verdict::Fail(failure) => (Word::Fail, failure.to_string()),
            Verdict::Insufficient { messages, wanted } => (
                Word::Insufficient,
                format!("{messages} messages; {wanted} wanted"),
            ),
        };
        Self {
            word,
            detail,
            messages: evaluation.held_back,
            ratio: evaluation.ratio.as_ref().map(|ratio| ratio.ratio),
        }
    }
}

/// Correctness is judged as of a tenant's candidate; speed is judged by all ratios together.
pub fn options(seed: u64, organizations: usize) -> Options {
    Options {
        seed,
        ratio_min: 0.0,
        time: TIMING / u32::try_from(organizations.max(1)).unwrap_or(u32::MAX),
        ..Options::default()
    }
}

/// Some organizations that have held-back messages, those with many of them first.
pub async fn choose(
    context: &jetstream::Context,
    knowledge: &dyn Knowledge,
    seed: u64,
) -> Result<Vec<Tenant>, String> {
    let counts = held_back::counts(context, VALIDATION).await?;
    Ok(chosen(knowledge.tenants(), &counts, seed))
}

fn chosen(tenants: Vec<Tenant>, counts: &HashMap<String, u64>, seed: u64) -> Vec<Tenant> {
    let wanted = Options::default().min_messages as u64;
    let mut ranked: Vec<_> = tenants
        .into_iter()
        .filter_map(|tenant| {
            let count = count_of(&tenant, counts, VALIDATION);
            let place = Sha256Digest::of(format!("{seed}/{}", tenant.org).as_bytes());
            (count > 0).then_some((count < wanted, place.to_string(), tenant))
        })
        .collect();
    ranked.sort_by(|(few, place, _), (other_few, other_place, _)| {
        (few, place).cmp(&(other_few, other_place))
    });
    let chosen = ranked.into_iter().map(|(_, _, tenant)| tenant);
    chosen.take(ORGANIZATIONS_MAX).collect()
}

fn count_of(tenant: &Tenant, counts: &HashMap<String, u64>, stream: &str) -> u64 {
    let subject = held_back::subject(stream, &tenant.org, tenant.configuration);
    counts.get(&subject).copied().unwrap_or(0)
}

/// The evaluations of a candidate, organization by organization, until one fails.
#[derive(Default)]
pub struct Tour {
    ratios: Vec<(String, Ratio)>,
    messages: usize,
    failed: Option<String>,
}

impl Tour {
    /// Takes an evaluation in; false when the answer is clear.
    pub fn add(&mut self, org: &str, evaluation: Evaluation) -> bool {
        self.messages += evaluation.held_back;
        if let Verdict::Fail(failure) = &evaluation.verdict {
            self.failed = Some(format!("`{org}`: {failure}"));
            return false;
        }
        if let Some(ratio) = evaluation.ratio {
            if ratio.ci95[1] < LOSS {
                let (found, high) = (ratio.ratio, ratio.ci95[1]);
                let detail = format!("`{org}` loses: ratio {found:.3}, at most {high:.3}");
                self.failed = Some(detail);
                return false;
            }
            self.ratios.push((org.to_owned(), ratio));
        }
        true
    }

    pub fn finish(self) -> Finding {
        let messages = self.messages;
        if let Some(detail) = self.failed {
            return Finding {
                messages,
                ..Finding::failed(detail)
            };
        }
        let organizations = self.ratios.len();
        if organizations < ORGANIZATIONS_MIN {
            let wanted = ORGANIZATIONS_MIN;
            return Finding {
                word: Word::Insufficient,
                detail: format!("{organizations} organizations; {wanted} wanted"),
                messages,
                ratio: None,
            };
        }
        let ratios: Vec<&Ratio> = self.ratios.iter().map(|(_, ratio)| ratio).collect();
        let (mean, low) = mean(&ratios);
        let word = if low > RATIO_MIN {
            Word::Pass
        } else {
            Word::Fail
        };
        Finding {
            word,
            detail: format!("{mean:.3} in the mean of {organizations}, at least {low:.3}"),
            messages,
            ratio: Some(mean),
        }
    }
}

/// The geometric mean and its lower bound. The intervals are independent of each other, so their
/// half widths add up as squares.
fn mean(ratios: &[&Ratio]) -> (f64, f64) {
    let count = ratios.len() as f64;
    let mean = ratios.iter().map(|r| r.ratio.ln()).sum::<f64>() / count;
    let squares = ratios.iter().map(|r| (r.ratio / r.ci95[0]).ln().powi(2));
    let half = squares.sum::<f64>().sqrt() / count;
    (mean.exp(), (mean - half).exp())
}

/// Captured messages, counted as a question counts them: so many has every one of the
/// [`ORGANIZATIONS_MIN`] organizations that have the most.
pub async fn status(
    context: &jetstream::Context,
    knowledge: &dyn Knowledge,
    accepted_version: u64,
) -> Result<Answer, Refused> {
    let tenants = knowledge.tenants();
    let enough = |stream: &'static str| {
        let tenants = &tenants;
        async move {
            let counts = held_back::counts(context, stream).await;
            let counts = counts
                .map_err(|error| Refused::new("unavailable", format!("{stream}: {error}")))?;
            let counts = tenants.iter().map(|t| count_of(t, &counts, stream));
            Ok::<u64, Refused>(shared_by(counts.collect()))
        }
    };
    Ok(Answer::Status {
        held_back: enough(VALIDATION).await?,
        training: enough(TRAINING).await?,
        accepted_version,
    })
}

fn shared_by(mut counts: Vec<u64>) -> u64 {
    counts.sort_unstable_by(|a, b| b.cmp(a));
    counts.get(ORGANIZATIONS_MIN - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use ratchet_sandbox::evaluate::Failure;
    use ratchet_trust::ConfigurationDigest;

    fn evaluation(verdict: Verdict, ratio: Option<(f64, [f64; 2])>) -> Evaluation {
        let ratio = ratio.map(|(ratio, ci95)| Ratio {
            name: "candidate".to_owned(),
            reference: "incumbent".to_owned(),
            ratio,
            ci95,
        });
        Evaluation {
            verdict,
            held_back: 64,
            made: 0,
            ratio,
        }
    }

    #[test]
    fn one_word_of_many_organizations() {
        let timed =
            |ratio: f64, low: f64, high: f64| evaluation(Verdict::Pass, Some((ratio, [low, high])));
        let wrong = || evaluation(Verdict::Fail(Failure::Wrong("a sum".to_owned())), None);
        let few = || {
            let verdict = Verdict::Insufficient {
                messages: 3,
                wanted: 64,
            };
            evaluation(verdict, None)
        };
        let check = |evaluations: Vec<Evaluation>, word: Word, part: &str| {
            let mut tour = Tour::default();
            for (n, evaluation) in evaluations.into_iter().enumerate() {
                if !tour.add(&format!("org-{n}"), evaluation) {
                    break;
                }
            }
            let finding = tour.finish();
            assert_eq!(finding.word, word, "{finding:?}");
            assert!(finding.detail.contains(part), "{finding:?}");
        };
        let fast = || timed(2.0, 1.9, 2.1);
        check(vec![], Word::Insufficient, "0 organizations");
        check(vec![fast()], Word::Insufficient, "1 organizations; 2");
        check(vec![fast(), few()], Word::Insufficient, "1 organizations");
        check(vec![fast(), fast()], Word::Pass, "2.000 in the mean of 2");
        check(vec![fast(), fast(), few()], Word::Pass, "mean of 2");
        // A wrong one fails however few there are, and however fast it is elsewhere.
        check(vec![wrong()], Word::Fail, "`org-0`: wrong: a sum");
        check(vec![fast(), fast(), wrong()], Word::Fail, "`org-2`");
        // One that surely loses refuses it for all; one that may lose does not.
        let loses = || timed(0.95, 0.93, 0.97);
        let may_lose = || timed(0.95, 0.91, 0.99);
        check(vec![fast(), loses(), fast()], Word::Fail, "`org-1` loses");
        check(vec![fast(), may_lose(), fast()], Word::Pass, "mean of 3");
        let slow = || timed(1.05, 1.04, 1.06);
        check(vec![slow(), slow()], Word::Fail, "1.050 in the mean of 2");
        // Sure of none, and so not of their mean.
        let vague = || timed(1.3, 0.9, 1.9);
        check(vec![vague(), vague()], Word::Fail, "at least 1.00");
    }

    #[test]
    fn many_messages_first_and_others_by_the_seed() {
        let tenants: Vec<Tenant> = (0..40)
            .map(|n| Tenant {
                org: format!("org-{n:02}"),
                configuration: ConfigurationDigest::of(&[n]),
                rules: Bytes::new(),
            })
            .collect();
        let count = |n: usize| match n {
            0..10 => 0,
            10..20 => 500,
            _ => 5,
        };
        let counts: HashMap<String, u64> = tenants
            .iter()
            .enumerate()
            .map(|(n, t)| {
                let subject = held_back::subject(VALIDATION, &t.org, t.configuration);
                (subject, count(n))
            })
            .collect();
        let names = |seed: u64| -> Vec<String> {
            let chosen = chosen(tenants.clone(), &counts, seed);
            chosen.into_iter().map(|tenant| tenant.org).collect()
        };
        for seed in 0..10 {
            let names = names(seed);
            assert_eq!(names.len(), ORGANIZATIONS_MAX);
            assert!(names[..10].iter().all(|n| n.starts_with("org-1")));
            assert!(names[10..].iter().all(|n| &**n >= "org-20"));
        }
        assert_eq!(names(1), names(1));
        assert_ne!(names(1), names(2));
    }

    #[test]
    fn messages_that_enough_organizations_have() {
        let check = |counts: &[u64], expected: u64| {
            assert_eq!(shared_by(counts.to_vec()), expected, "{counts:?}");
        };
        check(&[], 0);
        check(&[512], 0);
        check(&[512, 7], 7);
        check(&[7, 512, 80], 80);
    }
}
