//! A strict receiver of remote write 1.0: it checks every request as the specification asks, and
//! answers by a script.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::Router;
use prost::Message as _;
use ratchet_output::remote::{TimeSeries, WriteRequest};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::publish::Samples;

/// What to answer before a request is looked at.
#[derive(Clone, Debug)]
pub struct Scripted {
    /// Only requests of this tenant; all when it is empty.
    pub tenant: String,
    pub status: u16,
    pub retry_after: Option<&'static str>,
}

#[derive(Default)]
pub struct Received {
    pub samples: Samples,
    pub requests: usize,
    /// Samples that came a second time, equal.
    pub again: usize,
    /// What broke the protocol.
    pub violations: Vec<String>,
    pub authorization: Option<String>,
    pub script: VecDeque<Scripted>,
    newest: BTreeMap<String, i64>,
    busy: BTreeMap<String, usize>,
    pub most_busy: usize,
}

pub type Shared = Arc<Mutex<Received>>;

pub struct Receiver {
    pub address: SocketAddr,
    pub received: Shared,
    server: JoinHandle<()>,
}

impl Receiver {
    pub async fn start() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), Shared::default()).await
    }

    /// At an address where one was before, with what that had received.
    pub async fn at(address: SocketAddr, received: Shared) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/write", post(write))
            .with_state(received.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            received,
            server,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/write", self.address)
    }

    /// Goes away; connections are refused from now on.
    pub async fn stop(self) -> (SocketAddr, Shared) {
        self.server.abort();
        let _ = self.server.await;
        (self.address, self.received)
    }

    pub fn samples(&self) -> Samples {
        self.received.lock().unwrap().samples.clone()
    }

    pub fn script(&self, answers: &[(&str, u16, Option<&'static str>)]) {
        let scripted =
            |(tenant, status, retry_after): &(&str, u16, Option<&'static str>)| Scripted {
                tenant: (*tenant).to_owned(),
                status: *status,
                retry_after: *retry_after,
            };
        self.received
            .lock()
            .unwrap()
            .script
            .extend(answers.iter().map(scripted));
    }

    pub fn scripted(&self) -> usize {
        self.received.lock().unwrap().script.len()
    }

    pub fn assert_kept_the_protocol(&self) {
        let received = self.received.lock().unwrap();
        assert!(received.violations.is_empty(), "{:#?}", received.violations);
    }
}

async fn write(State(received): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| {
        headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    };
    let tenant = header("x-scope-orgid").to_owned();
    {
        let mut received = received.lock().unwrap();
        received.requests += 1;
        let busy = received.busy.entry(tenant.clone()).or_default();
        *busy += 1;
        let most = *busy;
        received.most_busy = received.most_busy.max(most);
    }
    // Long enough for a second request of the same tenant to be seen, if there is one.
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let mut received = received.lock().unwrap();
    received
        .busy
        .entry(tenant.clone())
        .and_modify(|busy| *busy -= 1);
    let authorization = headers.get("authorization");
    received.authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
    for (name, expected) in [
        ("content-encoding", "snappy"),
        ("content-type", "application/x-protobuf"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ] {
        if header(name) != expected {
            received
                .violations
                .push(format!("{name}: {:?}", header(name)));
        }
    }
    let fits = |scripted: &Scripted| scripted.tenant.is_empty() || scripted.tenant == tenant;
    if received.script.front().is_some_and(fits) {
        let scripted = received.script.pop_front().unwrap();
        let status = StatusCode::from_u16(scripted.status).unwrap();
        let after = scripted.retry_after.map(|after| [("retry-after", after)]);
        return match after {
            Some(after) => (status, after, "scripted").into_response(),
            None => (status, "scripted").into_response(),
        };
    }
    received.take(&tenant, &body);
    StatusCode::NO_CONTENT.into_response()
}

impl Received {
    fn take(&mut self, tenant: &str, body: &[u8]) {
        let plain = snap::raw::Decoder::new().decompress_vec(body);
        let request = plain
            .ok()
            .and_then(|plain| WriteRequest::decode(&plain[..]).ok());
        let Some(request) = request.filter(|request| !request.timeseries.is_empty()) else {
            self.violations
                .push("no WriteRequest, or an empty one".to_owned());
            return;
        };
        for series in &request.timeseries {
            self.take_series(tenant, series);
        }
    }

    fn take_series(&mut self, tenant: &str, series: &TimeSeries) {
        let names: Vec<&str> = series.labels.iter().map(|label| &*label.name).collect();
        let sorted = names.windows(2).all(|pair| pair[0] < pair[1]);
        let full = series.labels.iter().all(|label| !label.value.is_empty());
        if !sorted || !full || series.samples.is_empty() {
            self.violations
                .push(format!("labels or samples of {series:?}"));
        }
        let label = |name: &str| {
            let mut labels = series.labels.iter();
            labels
                .find(|label| label.name == name)
                .map_or("", |label| &label.value)
                .to_owned()
        };
        for sample in &series.samples {
            let (at, bits) = (sample.timestamp, sample.value.to_bits());
            let key = (tenant.to_owned(), label("__name__"), label("host"), at);
            match self.samples.insert(key.clone(), bits) {
                None => {
                    let id = format!("{tenant} {:?}", series.labels);
                    let newest = self.newest.entry(id).or_insert(at);
                    if at < *newest {
                        self.violations.push(format!("{key:?} is out of order"));
                    }
                    *newest = at.max(*newest);
                }
                Some(before) if before == bits => self.again += 1,
                Some(before) => {
                    self.violations
                        .push(format!("{key:?} was {before} and is {bits}"));
                }
            }
        }
    }
}
