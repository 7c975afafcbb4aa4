//! Rules edited under load, while aggregators are killed: untouched rules keep every point, the
//! edited one changes where it was said to.

use std::time::Duration;

use ratchet_rules::{Aggregate, Rule};

use crate::output::{assert_same, collect};
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Publisher};

/// How long before it takes effect a configuration is stored.
const LEAD_MS: i64 = 2_500;

/// Two rules that nobody touches, and one that every revision changes.
fn revision(number: u32) -> Vec<Rule> {
    let edited = match number % 3 {
        0 => rule("edited", Aggregate::Sum, 2, &["host"]),
        1 => rule("edited", Aggregate::Max, 2, &["zone"]),
        _ => rule("edited", Aggregate::Count, 3, &["host"]),
    };
    let kept = rule("kept", Aggregate::Sum, 4, &["host"]);
    let also = rule("also-kept", Aggregate::Avg, 1, &["zone"]);
    vec![also, edited, kept]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn editing_one_rule_disturbs_no_other() {
    let stage = Stage::new().await;
    stage
        .configure("acme", now_ms() - 60_000, &revision(0))
        .await;
    let first = stage.aggregator_in("first").await;
    let second = stage.aggregator_in("second").await;
    let mut publisher =
        Publisher::new(stage.context.clone(), "acme", 77, Oracle::new(&revision(0)));
    let edit = async {
        let mut moments = Vec::new();
        for number in 1..=4 {
            tokio::time::sleep(Duration::from_millis(1_700)).await;
            // Any moment: most are no start of a window of most rules.
            let moment_ms = (now_ms() + LEAD_MS) / 1000 * 1000 + 1000;
            stage.configure("acme", moment_ms, &revision(number)).await;
            moments.push((moment_ms, number));
        }
        moments
    };
    let kills = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        first.kill().await;
        second.serves(4).await;
        let first = stage.aggregator_in("first").await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        second.kill().await;
        first
    };
    let mut sent = Vec::new();
    let load = async {
        let until = tokio::time::Instant::now() + Duration::from_secs(18);
        while tokio::time::Instant::now() < until {
            sent.push(publisher.publish_untold().await);
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    let (moments, first, ()) = tokio::join!(edit, kills, load);
    for (moment_ms, number) in moments {
        publisher.oracle.change(moment_ms, &revision(number));
    }
    sent.iter()
        .for_each(|points| publisher.oracle.message(points));
    stage.settle(4).await;
    let output = collect(&stage.context, "acme").await;
    assert_same(&output.points, &publisher.oracle.outcomes());
    first.kill().await;
}
