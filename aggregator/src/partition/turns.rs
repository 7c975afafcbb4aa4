//! Who is served next: organizations take turns by the time that they use.
//!
//! What waits is kept by organization, each in the order of the stream. An organization is served
//! until it has used up its credit, then the next one is; with every round it gets new credit, in
//! proportion to its weight (a deficit round robin, in which what was used is known only
//! afterwards: who used more than it had sits out until that is paid). So whoever has much waiting
//! delays the others by its credit of a round, not by all that it has.
//!
//! Nothing else depends on the order: organizations share no state, and what one of them emits goes
//! to subjects of its own.

use std::collections::vec_deque::Iter;
use std::collections::{HashMap, VecDeque};

/// Credit of a round at the weight 100: some messages, and little enough not to be noticed.
const QUANTUM_NS: i64 = 200_000;
const WEIGHT_ONE: i64 = 100;
/// The most rounds that somebody sits out.
const DEBT_MAX: i64 = 1_000;

struct Line<T> {
    waiting: VecDeque<T>,
    credit_ns: i64,
    quantum_ns: i64,
}

pub struct Turns<T> {
    lines: HashMap<String, Line<T>>,
    /// Who has something waiting; the first is being served.
    round: VecDeque<String>,
    waiting: usize,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self {
            lines: HashMap::new(),
            round: VecDeque::new(),
            waiting: 0,
        }
    }
}

impl<T> Turns<T> {
    pub fn len(&self) -> usize {
        self.waiting
    }

    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Whether an organization has something waiting.
    pub fn has(&self, org: &str) -> bool {
        let line = self.lines.get(org);
        line.is_some_and(|line| !line.waiting.is_empty())
    }

    /// What waits, by organization.
    pub fn waiting(&self) -> impl Iterator<Item = (&str, Iter<'_, T>)> {
        let waiting = self
            .lines
            .iter()
            .filter(|(_, line)| !line.waiting.is_empty());
        waiting.map(|(org, line)| (org.as_str(), line.waiting.iter()))
    }

    /// Queues something behind all that waits, for each organization that has something waiting;
    /// returns how many have.
    pub fn push_behind(&mut self, mut item: impl FnMut(&str) -> T) -> usize {
        let mut pushed = 0;
        for (org, line) in &mut self.lines {
            if !line.waiting.is_empty() {
                line.waiting.push_back(item(org));
                pushed += 1;
            }
        }
        self.waiting += pushed;
        pushed
    }

    /// Queues something for an organization; `weight` is asked when it is new.
    pub fn push(&mut self, org: &str, weight: impl FnOnce() -> u32, item: T) {
        self.waiting += 1;
        let line = match self.lines.get_mut(org) {
            Some(line) => line,
            None => {
                let quantum_ns = (QUANTUM_NS * i64::from(weight()) / WEIGHT_ONE).max(1);
                self.lines.entry(org.to_owned()).or_insert(Line {
                    waiting: VecDeque::new(),
                    credit_ns: quantum_ns,
                    quantum_ns,
                })
            }
        };
        if line.waiting.is_empty() {
            self.round.push_back(org.to_owned());
        }
        line.waiting.push_back(item);
    }

    /// Takes what is to be served now; [`Turns::used`] says afterwards what that took.
    pub fn next(&mut self) -> Option<T> {
        loop {
            let alone = self.round.len() == 1;
            let line = self.lines.get_mut(self.round.front()?)?;
            if line.credit_ns > 0 || alone {
                self.waiting -= 1;
                return line.waiting.pop_front();
            }
            line.credit_ns += line.quantum_ns;
            self.round.rotate_left(1);
        }
    }

    /// Notes how long what was taken last has taken.
    pub fn used(&mut self, ns: i64) {
        let Some(line) = self.round.front().and_then(|org| self.lines.get_mut(org)) else {
            return;
        };
        // Debts are bounded: nobody is shut out for what it used while nobody waited, nor for ever
        // because it ran into a deadline.
        let debt_max = if self.round.len() == 1 { 1 } else { DEBT_MAX };
        line.credit_ns = (line.credit_ns - ns).max(-debt_max * line.quantum_ns);
        if line.waiting.is_empty() {
            // Credit is for those who wait; a debt stays.
            line.credit_ns = line.credit_ns.min(line.quantum_ns);
            self.round.pop_front();
        }
    }

    /// Forgets who has nothing waiting, debts and all.
    pub fn forget_idle(&mut self) {
        self.lines.retain(|_, line| !line.waiting.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: i64 = 1_000;

    /// Serves `steps` items of who waits, each at the cost of its organization, and returns the
    /// time that each was given.
    fn serve(waiting: &[(&str, u32, usize, i64)], steps: usize) -> HashMap<String, i64> {
        let mut turns = Turns::default();
        for (org, weight, count, cost) in waiting {
            for _ in 0..*count {
                turns.push(org, || *weight, (org.to_string(), *cost));
            }
        }
        let mut given = HashMap::new();
        for _ in 0..steps {
            let Some((org, cost)) = turns.next() else {
                break;
            };
            turns.used(cost);
            *given.entry(org).or_default() += cost;
        }
        given
    }

    /// Shares of the time in percent, by organization in order.
    fn check(waiting: &[(&str, u32, usize, i64)], steps: usize, expected: &[i64]) {
        let given = serve(waiting, steps);
        let total: i64 = given.values().sum();
        let share = |org: &str| {
            let ns = given.get(org).copied().unwrap_or(0);
            (100 * ns + total / 2) / total
        };
        let shares: Vec<i64> = waiting.iter().map(|(org, ..)| share(org)).collect();
        let near = shares.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 2);
        assert!(near, "{waiting:?}: {shares:?}, expected {expected:?}");
    }

    #[test]
    fn time_is_shared_by_weight_whatever_messages_cost() {
        let many = 100_000;
        check(&[("a", 100, many, 10 * US)], 1_000, &[100]);
        check(
            &[("a", 100, many, 10 * US), ("b", 100, many, 10 * US)],
            9_999,
            &[50, 50],
        );
        // Dear messages and cheap ones.
        check(
            &[("a", 100, many, 900 * US), ("b", 100, many, 10 * US)],
            90_000,
            &[50, 50],
        );
        check(
            &[("a", 300, many, 50 * US), ("b", 100, many, 50 * US)],
            9_999,
            &[75, 25],
        );
        let one = |name| (name, 100, many, 40 * US);
        check(
            &[one("a"), one("b"), one("c"), ("d", 100, 1, 40 * US)],
            30_000,
            &[33, 33, 33, 0],
        );
    }

    #[test]
    fn who_has_much_waiting_delays_others_by_a_round() {
        let mut turns = Turns::default();
        (0..10_000).for_each(|_| turns.push("noisy", || 100, "noisy"));
        let mut served_before = Vec::new();
        for _ in 0..50 {
            turns.push("quiet", || 100, "quiet");
            let mut before = 0;
            while turns.next() == Some("noisy") {
                turns.used(20 * US);
                before += 1;
            }
            turns.used(20 * US);
            served_before.push(before);
        }
        // A credit is ten of these messages; who has used its own up waits for another round.
        assert!(served_before.iter().all(|n| *n <= 20), "{served_before:?}");
        assert!(turns.len() > 9_000);
    }

    #[test]
    fn everything_is_served_once_and_each_in_its_order() {
        let mut turns = Turns::default();
        let orgs = ["a", "b", "c"];
        for n in 0..300usize {
            turns.push(orgs[n % 3], || 100, (orgs[n % 3], n));
        }
        let mut served: HashMap<&str, Vec<usize>> = HashMap::new();
        while let Some((org, n)) = turns.next() {
            turns.used(70 * US * n as i64);
            served.entry(org).or_default().push(n);
            if n == 150 {
                turns.forget_idle();
            }
        }
        assert!(turns.is_empty());
        for (first, org) in orgs.iter().enumerate() {
            let expected: Vec<usize> = (first..300).step_by(3).collect();
            assert_eq!(served[org], expected);
        }
    }

    #[test]
    fn a_debt_is_paid_and_then_over() {
        let mut turns = Turns::default();
        turns.push("slow", || 100, "slow");
        turns.push("slow", || 100, "slow");
        (0..20_000).for_each(|_| turns.push("other", || 100, "other"));
        assert_eq!(turns.next(), Some("slow"));
        // A quarter of a second: it ran into its deadline.
        turns.used(250_000 * US);
        let mut before = 0;
        while turns.next() == Some("other") {
            turns.used(50 * US);
            before += 1;
        }
        // 1000 quanta at most, of four messages each.
        assert!((3_000..=5_100).contains(&before), "{before}");
    }
}
