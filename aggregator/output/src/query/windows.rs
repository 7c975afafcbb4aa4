//! `GET /v1/orgs/{org}/rules/{rule}/windows?limit=`: the latest windows of a rule, newest first.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{header, HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::Json;
use serde_json::{json, Map, Value};

use super::answer::number;
use super::org::{Kept, OrgStore, RuleStore, WindowKey};
use super::params::Params;
use super::{aside, door, Query};

/// Windows in an answer where none are asked for.
const LIMIT: usize = 10;
/// Groups in an answer; beyond it, windows are left out and `truncated` says so.
const GROUPS_MAX: usize = 100_000;

/// A problem of RFC 9457, as the control plane's API answers them.
struct Problem {
    status: u16,
    title: &'static str,
    detail: String,
}

pub async fn answer(
    State(state): State<Arc<Query>>,
    Path((org, rule)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let answer = windows(&state, (org, rule), &params, &headers).await;
    let (status, response) = match answer {
        Ok(answer) => (200, Json(answer).into_response()),
        Err(problem) => (problem.status, problem.into_response()),
    };
    state.metrics.queried("windows", status);
    response
}

async fn windows(
    state: &Query,
    (org, rule): (String, String),
    params: &Params,
    headers: &HeaderMap,
) -> Result<Value, Problem> {
    door::open(&state.tokens, headers, &org).map_err(|closed| {
        let title = "access is refused";
        problem(closed.status(), title, closed.to_string())
    })?;
    let limit = params.limit().map_err(|error| {
        let title = "the request is malformed";
        problem(400, title, error.to_string())
    })?;
    let unavailable = |detail: &str| problem(503, "not available yet", detail.to_owned());
    if !*state.filled.borrow() {
        return Err(unavailable("the latest windows are still being read"));
    }
    let _turn = state
        .turn()
        .await
        .ok_or_else(|| unavailable("too many queries at a time"))?;
    let store = state.store.org(&org);
    let name = (org.clone(), rule.clone());
    let found = aside(move || {
        let store = store?;
        let store = store.read();
        Some(describe(&store, &name, limit.unwrap_or(LIMIT)))
    });
    let absent = || {
        let detail = format!("no window of rule {rule:?} of {org:?} is kept");
        problem(404, "no such rule", detail)
    };
    let found = found.await.flatten().flatten();
    found.ok_or_else(absent)
}

fn describe(org: &OrgStore, (name, id): &(String, String), limit: usize) -> Option<Value> {
    let oldest = org.windows_of(id).rev().take(limit).last()?;
    let rule = org.rule(id, oldest..);
    let (mut windows, mut groups, mut truncated) = (Vec::new(), 0, false);
    for (key, points) in rule.windows.iter().rev() {
        groups += points.len();
        if groups > GROUPS_MAX && !windows.is_empty() {
            truncated = true;
            break;
        }
        windows.push(window(&rule, key, points));
    }
    Some(json!({
        "org": name, "rule": id, "metric": rule.metric,
        "windows": windows, "truncated": truncated,
    }))
}

fn window(rule: &RuleStore, (end_ms, start_ms): &WindowKey, points: &[Kept]) -> Value {
    let mut groups: Vec<Value> = Vec::with_capacity(points.len());
    let mut places: HashMap<u32, usize> = HashMap::with_capacity(points.len());
    for point in points {
        let Some(series) = rule.series.get(point.series as usize) else {
            continue;
        };
        let tags = series
            .tags
            .iter()
            .map(|(k, v)| (k.to_string(), json!(&**v)));
        let tags: Map<String, Value> = tags.collect();
        // What JSON has no number for is text, as in Prometheus's answers.
        let value = if point.value.is_finite() {
            json!(point.value)
        } else {
            json!(number(point.value))
        };
        let group = json!({ "tags": tags, "value": value, "count": point.count });
        match places.get(&point.series) {
            Some(place) => groups[*place] = group,
            None => {
                places.insert(point.series, groups.len());
                groups.push(group);
            }
        }
    }
    json!({ "start_ms": start_ms, "end_ms": end_ms, "groups": groups })
}

fn problem(status: u16, title: &'static str, detail: String) -> Problem {
    Problem {
        status,
        title,
        detail,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let body = json!({
            "type": "about:blank", "title": self.title,
            "status": self.status, "detail": self.detail,
        });
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        if self.status == 401 {
            let bearer = HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}
