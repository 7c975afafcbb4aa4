//! A receiver and a NATS server that go away, and a queue that is full.

use crate::forwarding::{arrives, publish, Running};
use crate::publish::{eventually, expect, second_ago, Bed, Samples};
use crate::receiver::Receiver;

#[tokio::test]
async fn a_receiver_that_is_down_gets_everything_later() {
    let bed = Bed::new(None).await;
    let receiver = Receiver::start().await;
    let url = receiver.url();
    let forwarder = Running::start(&bed, &url, &[]).await;
    let mut expected = publish(&bed, 0, 5).await;
    arrives(&receiver, &expected).await;
    let (address, received) = receiver.stop().await;
    expected.extend(publish(&bed, 5, 30).await);
    let retries = r#"remote_write_retries_total{reason="connection"}"#;
    eventually("a retry", async || forwarder.metric(retries) >= 3.0).await;
    assert!(forwarder.metric("remote_write_lag_messages") > 0.0);
    let receiver = Receiver::at(address, received).await;
    arrives(&receiver, &expected).await;
    assert_eq!(forwarder.metric("remote_write_lost_messages_total"), 0.0);
    forwarder.stop().await;
}

#[tokio::test]
async fn a_nats_server_that_restarts_loses_nothing() {
    let mut bed = Bed::new(None).await;
    let receiver = Receiver::start().await;
    let forwarder = Running::start(&bed, &receiver.url(), &[]).await;
    let mut expected = publish(&bed, 0, 5).await;
    arrives(&receiver, &expected).await;
    bed.server.restart().await;
    bed.nats = async_nats::connect(&bed.server.url).await.unwrap();
    bed.context = async_nats::jetstream::new(bed.nats.clone());
    expected.extend(publish(&bed, 5, 5).await);
    arrives(&receiver, &expected).await;
    assert_eq!(forwarder.metric("remote_write_lost_messages_total"), 0.0);
    forwarder.stop().await;
}

#[tokio::test]
async fn what_the_stream_drops_is_counted() {
    const KEPT: i64 = 40;
    let bed = Bed::new(Some(KEPT)).await;
    let receiver = Receiver::start().await;
    // The consumer begins to exist with its first forwarder.
    let forwarder = Running::start(&bed, &receiver.url(), &[]).await;
    let mut expected = Samples::new();
    bed.publish("acme", "cpu", second_ago(300), &["a"]).await;
    expect(&mut expected, "acme", "cpu", second_ago(300), &["a"]);
    eventually("the first sample", async || receiver.samples().len() == 1).await;
    forwarder.stop().await;
    let first = receiver.samples();
    let (start_ms, mut later) = (second_ago(200), Samples::new());
    for index in 0..100 {
        let at = start_ms + 1000 * index;
        bed.publish("acme", "cpu", at, &["a", "b"]).await;
        if index >= 100 - KEPT {
            expect(&mut later, "acme", "cpu", at, &["a", "b"]);
        }
    }
    let forwarder = Running::start(&bed, &receiver.url(), &[]).await;
    later.extend(first);
    arrives(&receiver, &later).await;
    assert_eq!(
        forwarder.metric("remote_write_lost_messages_total"),
        (100 - KEPT) as f64
    );
    forwarder.stop().await;
}

#[tokio::test]
async fn what_no_aggregator_wrote_is_passed_over() {
    let bed = Bed::new(None).await;
    let receiver = Receiver::start().await;
    bed.send("acme", "1000", b"rubbish".to_vec()).await;
    bed.send("acme", "soon", b"rubbish".to_vec()).await;
    bed.context
        .publish("aggregates.acme", "".into())
        .await
        .unwrap()
        .await
        .unwrap();
    let expected = publish(&bed, 0, 1).await;
    let forwarder = Running::start(&bed, &receiver.url(), &[]).await;
    arrives(&receiver, &expected).await;
    assert_eq!(
        forwarder.metric("remote_write_malformed_messages_total"),
        3.0
    );
    eventually("no lag", async || {
        forwarder.metric("remote_write_lag_messages") == 0.0
    })
    .await;
    forwarder.stop().await;
}
