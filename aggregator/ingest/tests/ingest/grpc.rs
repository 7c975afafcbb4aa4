//! OTLP over gRPC, by the table of answers: calls that end early, are slow, too large or too many,
//! and those of which only some points are stored.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_nats::jetstream::stream::DiscardPolicy;
use futures::stream::{FuturesUnordered, StreamExt as _};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prost::Message as _;
use tokio::net::TcpStream;

use crate::call::{framed, Call, Caller, Told, FRAME_HEAD};
use crate::client::{until_closed, PATIENCE};
use crate::gateway::Setup;
use crate::kinds::{gauge, metric, number, request};
use crate::round_trips::gzip;
use crate::samples::{now, point, Point};

type Header<'a> = (&'a str, &'a str);

const ACME: Header = ("authorization", "Bearer token-of-acme");
const EVERYBODY: Header = ("authorization", "Bearer sends-for-all");
const GZIP: Header = ("grpc-encoding", "gzip");
const RESERVED: &str = "ratchet_ingest_reserved_bytes";
const IN_FLIGHT: &str = "ratchet_ingest_requests_in_flight";
const CONNECTIONS: &str = r#"ratchet_ingest_connections{protocol="grpc"}"#;
const OVERLOADED: &str = r#"ratchet_ingest_refused_requests_total{org="acme",reason="overloaded"}"#;

/// A request of one point for each name and moment.
fn export(points: &[(&str, i64)]) -> Vec<u8> {
    let metrics = points.iter().map(|(name, ts)| {
        let data = number(*ts, Value::AsDouble(1.0));
        metric(name, gauge(vec![data]))
    });
    request(metrics.collect()).encode_to_vec()
}

fn stored_as(name: &str, ts: i64) -> Point {
    point(&format!("{name}{{}}"), ts, 1.0)
}

/// Waits until the figures are such.
async fn wait_for(setup: &Setup, what: &str, fits: impl Fn(&Setup) -> bool) {
    let until = Instant::now() + PATIENCE;
    while !fits(setup) {
        let figures = [RESERVED, IN_FLIGHT, CONNECTIONS].map(|name| setup.figure(name));
        assert!(Instant::now() < until, "{what}: {figures:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until nothing of any request is left, and nobody is connected.
async fn is_idle(setup: &Setup) {
    let figures = [RESERVED, IN_FLIGHT, CONNECTIONS];
    let idle = |setup: &Setup| figures.iter().all(|name| setup.figure(name) == 0.0);
    wait_for(setup, "nothing is held", idle).await;
}

/// One call on a connection of its own.
async fn call(at: SocketAddr, headers: &[Header<'_>], body: &[u8]) -> Told {
    Caller::connect(at).await.call(headers, body).await
}

/// A call that is whole is stored, and nothing else is.
async fn only_this_is_stored(setup: &Setup) {
    let ts = now();
    let told = call(
        setup.grpc,
        &[ACME],
        &framed(&export(&[("whole", ts)]), false),
    )
    .await;
    assert_eq!((told.code, &*told.message), (0, ""));
    assert_eq!(setup.stored_points().await, [stored_as("whole", ts)]);
    is_idle(setup).await;
}

/// A message, and how much of its frame is a request of its own: only the length of the frame says
/// that there is more.
fn two_in_one() -> (Vec<u8>, usize) {
    let first = export(&[("first", now())]);
    let whole = [&first[..], &export(&[("second", now())])].concat();
    (framed(&whole, false), FRAME_HEAD + first.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_ends_before_its_end_is_malformed() {
    let setup = Setup::new(&[]).await;
    let (body, first) = two_in_one();
    for (cut, expected) in [
        (0, "the call has no message"),
        (3, "the call has no message"),
        (FRAME_HEAD, "another length"),
        (first, "another length"),
        (body.len() - 1, "another length"),
    ] {
        let told = call(setup.grpc, &[ACME], &body[..cut]).await;
        assert_eq!((told.code, told.retry_after_s), (3, None), "{cut}");
        assert!(told.message.contains(expected), "{cut}: {}", told.message);
    }
    only_this_is_stored(&setup).await;
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_break_off_leave_nothing_behind() {
    let setup = Setup::new(&[]).await;
    let (body, first) = two_in_one();
    for hangs_up in [false, true] {
        let mut caller = Caller::connect(setup.grpc).await;
        let mut call = caller.begin(&[ACME]).await;
        call.send(&body[..first]);
        let held = |setup: &Setup| setup.figure(IN_FLIGHT) == 1.0 && setup.figure(RESERVED) > 0.0;
        wait_for(&setup, "what came is held", held).await;
        if hangs_up {
            caller.hang_up().await;
        } else {
            call.reset();
            let ended = |setup: &Setup| setup.figure(IN_FLIGHT) == 0.0;
            wait_for(&setup, "the call has ended", ended).await;
            // Its connection is as good as before.
            assert_eq!(caller.call(&[ACME], &framed(b"", false)).await.code, 0);
            drop(caller);
        }
        is_idle(&setup).await;
    }
    only_this_is_stored(&setup).await;
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_not_complete_in_time_are_ended() {
    let flags = [
        "--ingest-head-timeout-ms",
        "300",
        "--ingest-body-timeout-ms",
        "300",
    ];
    let setup = Setup::new(&flags).await;
    let (body, first) = two_in_one();
    let mut caller = Caller::connect(setup.grpc).await;
    let slow = Told {
        code: 4,
        message: "the request was not complete in time".to_owned(),
        retry_after_s: None,
        reply: None,
    };
    for cut in [0, 3, first] {
        let mut call = caller.begin(&[ACME]).await;
        call.send(&body[..cut]);
        assert_eq!(call.told().await, slow, "{cut}");
    }
    // The time is that of the whole body, however steadily it comes.
    let call = caller.begin(&[ACME]).await;
    assert_eq!(call.drip(Duration::from_millis(50)).await, slow);
    assert_eq!(caller.call(&[ACME], &framed(b"", false)).await.code, 0);
    drop(caller);
    let mut silent = TcpStream::connect(setup.grpc).await.unwrap();
    until_closed(&mut silent).await;
    Caller::connect(setup.grpc).await.closed().await;
    only_this_is_stored(&setup).await;
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overload_is_told_with_when_to_try_again() {
    const BUDGET: f64 = 1024.0 * 1024.0;
    const CALLS: usize = 8;
    /// Five of them fit.
    const SENT: usize = 200 * 1024;
    let setup = Setup::new(&["--ingest-memory-mib", "1"]).await;
    let (mut callers, mut calls) = (Vec::new(), Vec::new());
    for _ in 0..CALLS {
        let mut caller = Caller::connect(setup.grpc).await;
        let mut call = caller.begin(&[ACME]).await;
        call.send(&vec![0; SENT]);
        callers.push(caller);
        calls.push(call);
    }
    // Those that are not refused hold what they sent, and all of them no more than there is.
    wait_for(&setup, "all that is sent is held or refused", |setup| {
        let (held, refused) = (setup.figure(RESERVED), setup.figure(OVERLOADED) as usize);
        assert!(held <= BUDGET, "{held} bytes are reserved");
        refused >= 3 && held == ((CALLS - refused) * SENT) as f64
    })
    .await;
    let refused = setup.figure(OVERLOADED) as usize;
    let mut answers: FuturesUnordered<_> = calls.into_iter().map(Call::told).collect();
    for _ in 0..refused {
        let told = answers.next().await.unwrap();
        assert_eq!((told.code, told.retry_after_s), (8, Some(1)), "{told:?}");
        assert_eq!(told.message, "too much is being taken in at the moment");
    }
    // The others give up, and there is room again.
    drop((answers, callers));
    is_idle(&setup).await;
    only_this_is_stored(&setup).await;
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_now_is_too_large_later() {
    let flags = [
        "--ingest-body-max",
        "100000",
        "--ingest-content-max",
        "400000",
        "--ingest-memory-mib",
        "1",
    ];
    let setup = Setup::new(&flags).await;
    // Several times that, and more than all requests together may hold, once it is decoded.
    let long = "x".repeat(300_000);
    let decoded = export(&[(&long, now())]);
    for (sent, compressed, expected) in [
        (
            vec![0; 100_001],
            false,
            "the body has more than 100000 bytes",
        ),
        (
            vec![0; 9 << 20],
            false,
            "the body has more than 100000 bytes",
        ),
        (
            gzip(&vec![0; 60_000_000]),
            true,
            "has more than 400000 bytes",
        ),
        (
            gzip(&decoded),
            true,
            "more than the 786432 bytes that an organization may have",
        ),
    ] {
        let told = call(setup.grpc, &[ACME, GZIP], &framed(&sent, compressed)).await;
        assert_eq!((told.code, told.retry_after_s), (8, None), "{told:?}");
        assert!(told.message.contains(expected), "{told:?}");
    }
    let figure = r#"ratchet_ingest_refused_requests_total{org="acme",reason="too-large"}"#;
    assert_eq!(setup.figure(figure), 4.0);
    only_this_is_stored(&setup).await;
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_grpc_is_told_by_http() {
    let setup = Setup::new(&[]).await;
    let mut caller = Caller::connect(setup.grpc).await;
    for media in ["application/x-protobuf", "application/grpc+json", ""] {
        let call = caller.begin(&[ACME, ("content-type", media)]).await;
        assert_eq!(call.http_status().await, 415, "{media:?}");
    }
    drop(caller);
    only_this_is_stored(&setup).await;
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_is_told_with_when_to_try_again() {
    let setup = Setup::with_stream(&[], |config| {
        config.max_messages = 1;
        config.discard = DiscardPolicy::New;
    })
    .await;
    only_this_is_stored(&setup).await;
    let body = framed(&export(&[("more", now())]), false);
    let told = call(setup.grpc, &[ACME], &body).await;
    assert_eq!((told.code, told.retry_after_s), (14, Some(5)), "{told:?}");
    assert_eq!(setup.stored().await.len(), 1);
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_send_is_told_and_who_may_is_known() {
    const OF_ACME: Header = ("x-scope-orgid", "acme");
    const OF_GLOBEX: Header = ("x-scope-orgid", "globex");
    let setup = Setup::new(&[]).await;
    let body = framed(&export(&[("mine", now())]), false);
    let bearer = |token| ("authorization", token);
    for (headers, expected) in [
        (&[][..], Err(16)),
        (&[OF_ACME], Err(16)),
        (&[bearer("Basic YTpi")], Err(16)),
        (&[bearer("Bearer nobody")], Err(16)),
        (&[bearer("Bearer reads-acme")], Err(7)),
        (&[ACME, OF_GLOBEX], Err(7)),
        (&[EVERYBODY], Err(7)),
        (&[EVERYBODY, ("x-scope-orgid", "No Name")], Err(7)),
        (&[ACME, OF_ACME], Ok("acme")),
        (&[EVERYBODY, OF_GLOBEX], Ok("globex")),
    ] {
        let before = setup.stored().await.len();
        let told = call(setup.grpc, headers, &body).await;
        let code = expected.err().unwrap_or(0);
        assert_eq!(
            (told.code, told.retry_after_s),
            (code, None),
            "{headers:?} {told:?}"
        );
        let stored = setup.stored().await;
        let new = stored
            .get(before)
            .map(|(subject, _)| subject.rsplit('.').next().unwrap());
        assert_eq!(new, expected.ok(), "{headers:?}");
    }
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn some_points_may_be_refused_and_the_others_are_stored() {
    let setup = Setup::new(&[]).await;
    let ts = now();
    let future = ts + 3_600_000;
    let stored = |n: usize| stored_as(&format!("good-{n}"), ts);
    for (n, points, refused) in [
        (0, &[("good-0", ts)][..], None),
        (
            1,
            &[
                ("good-1", ts),
                ("", ts),
                ("wrong", future),
                ("wrong", future),
            ],
            Some((3, "3 data points refused (no-name: 1, future: 2)")),
        ),
        (
            1,
            &[("wrong", future)],
            Some((1, "1 data points refused (future: 1)")),
        ),
    ] {
        let told = call(setup.grpc, &[ACME], &framed(&export(points), false)).await;
        assert_eq!(told.code, 0, "{told:?}");
        let partial = told.reply.unwrap().partial_success;
        let partial = partial.map(|partial| (partial.rejected_data_points, partial.error_message));
        assert_eq!(partial.is_some(), refused.is_some(), "{partial:?}");
        if let (Some((count, message)), Some((expected, begins))) = (partial, refused) {
            assert_eq!(count, expected);
            assert!(message.starts_with(begins), "{message}");
        }
        let expected: Vec<Point> = (0..=n).map(stored).collect();
        assert_eq!(setup.stored_points().await, expected);
    }
    setup.end().await;
}
