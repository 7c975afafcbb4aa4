//! Queries of the latest windows over HTTP, against an oracle that knows what was published.

use std::sync::Arc;
use std::time::Duration;

use ratchet_access::TokenFile;
use ratchet_output::metrics::OutputMetrics;
use ratchet_output::query::{Feed, Limits, Query, Store};
use reqwest::{Client, Method};
use serde_json::{json, Value};
use tokio::sync::watch;

use crate::publish::{eventually, second_ago, value_of, Bed};

const LIMITS: Limits = Limits {
    windows: 50,
    history_ms: 3_600_000,
    org_bytes: 1 << 24,
    bytes: 1 << 26,
};

/// SHA-256 of "acme-token", "beta-token" and "admin-token".
const TOKENS: &str = r#"[
    {"token_sha256":"28daa606f54b368209e11244fd3d5612b41212e822258df22e55afe06a7bdae1","org":"acme","role":"viewer"},
    {"token_sha256":"863d63c0bd3a94bfca84ed2063a7355a226faff82ca50b90158bf183aa1a9e61","org":"beta","role":"operator"},
    {"token_sha256":"10a4c7c9fc5206d6f36dc6944a81bb6f4a3cb0e25014ae3b12e6c3e52712292a","org":"*","role":"admin"}
]"#;

struct Asker {
    base: String,
    http: Client,
}

impl Asker {
    async fn start(bed: &Bed) -> Self {
        let path = bed.directory.path().join("tokens.json");
        std::fs::write(&path, TOKENS).unwrap();
        let metrics = OutputMetrics::default();
        let store = Arc::new(Store::new(LIMITS, metrics.clone()));
        let feed = Feed {
            context: bed.context.clone(),
            store: store.clone(),
            metrics: metrics.clone(),
            history: Duration::from_secs(3600),
            filled: watch::Sender::new(false),
        };
        let query = Query::new(
            store,
            TokenFile::new(path),
            metrics,
            feed.filled.subscribe(),
        );
        let mut filled = feed.filled.subscribe();
        tokio::spawn(feed.run());
        filled.wait_for(|filled| *filled).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, query.router()).await.unwrap() });
        // As every client of the crate does.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::new();
        Self { base, http }
    }

    /// Status and body; `token` may be empty.
    async fn ask(&self, method: Method, token: &str, path: &str, form: &str) -> (u16, Value) {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if !form.is_empty() {
            let form_type = "application/x-www-form-urlencoded";
            request = request
                .header("content-type", form_type)
                .body(form.to_owned());
        }
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, "acme-token", path, "").await;
        assert_eq!(
            (status, &body["status"]),
            (200, &json!("success")),
            "{path}: {body}"
        );
        body["data"].clone()
    }
}

const HOSTS: [&str; 3] = ["a", "b", "c"];

/// Forty windows of a second of two rules of `acme`, where host c has every fourth only.
async fn publish(bed: &Bed) -> i64 {
    let start_ms = second_ago(500);
    for index in 0..40 {
        let hosts = if index % 4 == 0 {
            &HOSTS[..]
        } else {
            &HOSTS[..2]
        };
        for rule in ["cpu", "disk-io"] {
            bed.publish("acme", rule, start_ms + 1000 * index, hosts)
                .await;
        }
        bed.publish("beta", "cpu", start_ms + 1000 * index, &["a"])
            .await;
    }
    start_ms
}

/// What host `host` of rule `cpu` has at a moment, worked out from what was published.
fn oracle(start_ms: i64, host: &str, at_ms: i64) -> Option<f64> {
    let windows = (0..40).filter(|index| host != "c" || index % 4 == 0);
    let windows = windows.map(|index| start_ms + 1000 * index);
    let newest = windows.filter(|start| start + 1000 <= at_ms).max()?;
    (at_ms - (newest + 1000) < 300_000).then(|| value_of("cpu", host, newest))
}

fn seconds(ms: i64) -> Value {
    json!(ms as f64 / 1000.0)
}

#[tokio::test]
async fn values_are_those_of_the_oracle() {
    let bed = Bed::new(None).await;
    let start_ms = publish(&bed).await;
    let asker = Asker::start(&bed).await;
    for offset_ms in [
        0, 999, 1000, 1001, 17_500, 40_000, 41_000, 310_000, 339_999, 340_000,
    ] {
        let at_ms = start_ms + offset_ms;
        let data = asker
            .get(&format!("/api/v1/query?query=cpu&time={}", seconds(at_ms)))
            .await;
        let expected: Vec<Value> = HOSTS
            .iter()
            .filter_map(|host| {
                let value = oracle(start_ms, host, at_ms)?.to_string();
                let metric = json!({ "__name__": "cpu", "host": host });
                Some(json!({ "metric": metric, "value": [seconds(at_ms), value] }))
            })
            .collect();
        assert_eq!(
            data,
            json!({ "resultType": "vector", "result": expected }),
            "{offset_ms}"
        );
    }
    let (from, to) = (start_ms - 5000, start_ms + 400_000);
    let range = format!("start={}&end={}&step=0.7", seconds(from), seconds(to));
    let query = "query=cpu%7Bhost%3D~%22b%7Cc%22%7D";
    let data = asker
        .get(&format!("/api/v1/query_range?{query}&{range}"))
        .await;
    let moments = || (0..).map(|i| from + 700 * i).take_while(|at| *at <= to);
    let expected: Vec<Value> = HOSTS[1..]
        .iter()
        .map(|host| {
            let value = |at| {
                Some(json!([
                    seconds(at),
                    oracle(start_ms, host, at)?.to_string()
                ]))
            };
            let values: Vec<Value> = moments().filter_map(value).collect();
            json!({ "metric": { "__name__": "cpu", "host": host }, "values": values })
        })
        .collect();
    assert_eq!(data, json!({ "resultType": "matrix", "result": expected }));
}

#[tokio::test]
async fn windows_as_json() {
    let bed = Bed::new(None).await;
    let start_ms = publish(&bed).await;
    let nan = [("a", f64::NAN), ("b", f64::NEG_INFINITY)];
    bed.publish_values("acme", "odd", (start_ms, 30_000), &nan)
        .await;
    let asker = Asker::start(&bed).await;
    let ask = async |path: &str| asker.ask(Method::GET, "acme-token", path, "").await;
    let (status, body) = ask("/v1/orgs/acme/rules/disk-io/windows?limit=3").await;
    let group = |host: &str, start: i64| {
        let value = value_of("disk-io", host, start);
        json!({ "tags": { "host": host }, "value": value, "count": 3 })
    };
    let window = |index: i64, hosts: &[&str]| {
        let start = start_ms + 1000 * index;
        let groups: Vec<Value> = hosts.iter().map(|host| group(host, start)).collect();
        json!({ "start_ms": start, "end_ms": start + 1000, "groups": groups })
    };
    let expected = json!({
        "org": "acme", "rule": "disk-io", "metric": "disk_io", "truncated": false,
        "windows": [window(39, &HOSTS[..2]), window(38, &HOSTS[..2]), window(37, &HOSTS[..2])],
    });
    assert_eq!((status, body), (200, expected));
    let (_, body) = ask("/v1/orgs/acme/rules/cpu/windows?limit=1000").await;
    assert_eq!(body["windows"].as_array().unwrap().len(), 40);
    let (_, body) = ask("/v1/orgs/acme/rules/odd/windows").await;
    let groups = &body["windows"][0]["groups"];
    assert_eq!(
        (&groups[0]["value"], &groups[1]["value"]),
        (&json!("NaN"), &json!("-Inf"))
    );
    for (path, expected) in [
        ("/v1/orgs/acme/rules/none/windows", 404),
        ("/v1/orgs/acme/rules/cpu/windows?limit=x", 400),
        ("/v1/orgs/beta/rules/cpu/windows", 403),
    ] {
        let (status, body) = ask(path).await;
        assert_eq!(
            (status, &body["status"]),
            (expected, &json!(expected)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_comes_later_is_seen_too() {
    let bed = Bed::new(None).await;
    let asker = Asker::start(&bed).await;
    let empty = asker.get("/api/v1/query?query=cpu").await;
    assert_eq!(empty, json!({ "resultType": "vector", "result": [] }));
    bed.publish("acme", "cpu", second_ago(5), &["a"]).await;
    eventually("the window", async || {
        asker.get("/api/v1/query?query=cpu").await["result"]
            .as_array()
            .unwrap()
            .len()
            == 1
    })
    .await;
    let range = asker.get("/api/v1/query?query=cpu%5B1m%5D").await;
    assert_eq!(range["resultType"], "matrix");
    assert_eq!(range["result"][0]["values"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_grafana_asks() {
    let bed = Bed::new(None).await;
    publish(&bed).await;
    let asker = Asker::start(&bed).await;
    let check = async |path: &str, expected: Value| {
        let (url, form) = path.split_once('?').unwrap_or((path, ""));
        assert_eq!(asker.get(path).await, expected, "GET {path}");
        let (status, body) = asker.ask(Method::POST, "acme-token", url, form).await;
        let told = (status, &body["data"]);
        if url.ends_with("/values") || !form.is_empty() {
            assert_eq!(told, (200, &expected), "POST {path}");
        }
    };
    let io = |host: &str| json!({ "__name__": "disk_io", "host": host, "rule": "disk-io" });
    check(
        "/api/v1/query?query=1%2B1&time=4",
        json!({
            "resultType": "scalar", "result": [4.0, "2"]
        }),
    )
    .await;
    check(
        "/api/v1/query_range?query=7&start=1&end=2&step=1",
        json!({
            "resultType": "matrix", "result": [{ "metric": {}, "values": [[1.0, "7"], [2.0, "7"]] }]
        }),
    )
    .await;
    check("/api/v1/labels", json!(["__name__", "host", "rule"])).await;
    check(
        "/api/v1/labels?match[]=cpu&start=1&end=2",
        json!(["__name__", "host"]),
    )
    .await;
    check("/api/v1/label/__name__/values", json!(["cpu", "disk_io"])).await;
    check(
        "/api/v1/label/host/values?match[]=cpu&limit=2",
        json!(["a", "b"]),
    )
    .await;
    check("/api/v1/label/none/values", json!([])).await;
    let both = "match[]=disk_io%7Bhost%3D%22a%22%7D&match[]=%7Bhost%3D%22b%22,rule%21%3D%22%22%7D";
    check(&format!("/api/v1/series?{both}"), json!([io("a"), io("b")])).await;
    let help = |rule: &str| {
        json!([{
            "type": "gauge", "help": format!("Rule {rule} over windows of 1 s"), "unit": ""
        }])
    };
    check(
        "/api/v1/metadata",
        json!({ "cpu": help("cpu"), "disk_io": help("disk-io") }),
    )
    .await;
    check("/api/v1/metadata?metric=cpu", json!({ "cpu": help("cpu") })).await;
    let build = asker.get("/api/v1/status/buildinfo").await;
    assert_eq!(build["version"], "2.24.0");
}

#[tokio::test]
async fn errors_in_prometheus_own_form() {
    let bed = Bed::new(None).await;
    let asker = Asker::start(&bed).await;
    let check = async |token: &str, path: &str, status: u16, kind: &str, part: &str| {
        let (told, body) = asker.ask(Method::GET, token, path, "").await;
        let error = body["error"].as_str().unwrap_or_default();
        assert_eq!(
            (told, &body["status"]),
            (status, &json!("error")),
            "{path}: {body}"
        );
        assert_eq!(body["errorType"], kind, "{path}: {body}");
        assert!(error.contains(part), "{path}: {error}");
    };
    let (ok, query) = ("acme-token", "/api/v1/query");
    for (params, part) in [
        ("", "\"query\": it is missing"),
        ("?query=", "missing"),
        ("?query=cpu%7B", "invalid parameter"),
        ("?query=sum(cpu)", "an aggregation"),
        ("?query=cpu&time=x", "\"x\""),
        ("_range?query=cpu&start=0", "\"end\": it is missing"),
        ("_range?query=cpu&start=0&end=99999&step=1", "11000 points"),
        ("_range?query=cpu%5B5m%5D&start=0&end=1&step=1", "a range"),
    ] {
        check(ok, &format!("{query}{params}"), 400, "bad_data", part).await;
    }
    check(ok, "/api/v1/series", 400, "bad_data", "match[]").await;
    let empty = "/api/v1/labels?match[]=%7B%7D";
    check(ok, empty, 400, "bad_data", "match[]").await;
    check(ok, "/api/v1/rules", 404, "not_found", "no such endpoint").await;
    check("", query, 401, "unauthorized", "bearer").await;
    check("nobody", query, 401, "unauthorized", "bearer").await;
    check("", "/api/v1/rules", 401, "unauthorized", "bearer").await;
    check("admin-token", query, 400, "bad_data", "X-Scope-OrgID").await;
    let (status, body) = asker
        .ask(Method::GET, "", "/v1/orgs/acme/rules/cpu/windows", "")
        .await;
    assert_eq!((status, &body["title"]), (401, &json!("access is refused")));
    let long = format!("query={}", "a".repeat(70_000));
    let (status, _) = asker.ask(Method::POST, ok, query, &long).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn organizations_see_their_own_windows_only() {
    let bed = Bed::new(None).await;
    let start_ms = publish(&bed).await;
    let asker = Asker::start(&bed).await;
    let path = format!("/api/v1/query?query=cpu&time={}", seconds(start_ms + 1000));
    let check = async |token: &str, tenant: Option<&str>, expected: Result<usize, u16>| {
        let mut request = asker.http.get(format!("{}{path}", asker.base));
        request = request.header("authorization", format!("Bearer {token}"));
        if let Some(tenant) = tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let told = match body["data"]["result"].as_array() {
            Some(result) => Ok(result.len()),
            None => Err(status),
        };
        assert_eq!(told, expected, "{token} {tenant:?}: {body}");
    };
    check("acme-token", None, Ok(3)).await;
    check("beta-token", None, Ok(1)).await;
    check("beta-token", Some("beta"), Ok(1)).await;
    check("beta-token", Some("acme"), Err(403)).await;
    check("admin-token", Some("acme"), Ok(3)).await;
    check("admin-token", Some("nobody"), Ok(0)).await;
}
