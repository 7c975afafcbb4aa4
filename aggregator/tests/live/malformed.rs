//! Messages that are refused: each with its reason, counted, and without harm to the others.

use std::time::{Duration, Instant};

use ratchet_codec::payload::write::MessageBuilder;
use ratchet_rules::Aggregate;

use crate::output::{assert_same, collect};
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Publisher};

fn message(ts: i64) -> Vec<u8> {
    let mut builder = MessageBuilder::new();
    builder
        .point("cpu", &[("host", "a"), ("env", "prod")], ts, 1.0)
        .unwrap();
    builder.finish().unwrap()
}

/// A valid message with one byte changed.
fn with_byte(at: usize, value: u8) -> Vec<u8> {
    let mut bytes = message(now_ms());
    bytes[at] = value;
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_messages_are_counted_by_reason() {
    let stage = Stage::new().await;
    let rules = [rule("sum", Aggregate::Sum, 1, &["host"])];
    stage.configure("acme", now_ms() - 60_000, &rules).await;
    stage.configure("later", now_ms() + 3_600_000, &rules).await;
    let aggregator = stage.aggregator().await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 3, Oracle::new(&rules));
    publisher.publish().await;
    let hour = 3_600_000;
    let cut = {
        let whole = message(now_ms());
        whole[..whole.len() - 8].to_vec()
    };
    for (org, body, label, reason) in [
        ("acme", Vec::new(), "acme", "too-short"),
        ("acme", b"RTP1".to_vec(), "acme", "too-short"),
        ("acme", with_byte(0, b'X'), "acme", "magic"),
        ("acme", cut, "acme", "length"),
        ("acme", with_byte(28, 1), "acme", "reserved"),
        ("acme", with_byte(24, 9), "acme", "column-length"),
        ("acme", message(now_ms() + hour), "acme", "future"),
        ("acme", message(now_ms() - 3 * hour), "acme", "ancient"),
        ("later", message(now_ms()), "later", "unconfigured"),
        ("nobody", message(now_ms()), "unknown", "unconfigured"),
        ("Not-A-Name", message(now_ms()), "unknown", "organization"),
    ] {
        let series =
            format!("ratchet_refused_messages_total{{org=\"{label}\",reason=\"{reason}\"}}");
        let before = aggregator.metric(&series).await;
        let subject = format!("ingest.{org}");
        stage
            .context
            .publish(subject, body.into())
            .await
            .unwrap()
            .await
            .unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        while aggregator.metric(&series).await != before + 1.0 {
            let (_, all) = aggregator.get("/metrics").await.unwrap();
            assert!(Instant::now() < until, "{series} stays; {all}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        publisher.publish().await;
    }
    stage.settle(1).await;
    // A second late: its window is closed. It is counted, and put nowhere.
    let late = message(now_ms() - 4_000);
    stage
        .context
        .publish("ingest.acme", late.into())
        .await
        .unwrap()
        .await
        .unwrap();
    stage.settle(1).await;
    let output = collect(&stage.context, "acme").await;
    assert_same(&output.points, &publisher.oracle.outcomes());
    let late = aggregator
        .metric("ratchet_late_points_total{org=\"acme\",rule=\"sum\"}")
        .await;
    assert_eq!(late, 1.0);
    aggregator.kill().await;
}
