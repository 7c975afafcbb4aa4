//! The part of Prometheus's HTTP API that Grafana needs (GET and POST alike).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{header, HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::Router;
use parking_lot::RwLock;
use serde_json::json;

use super::answer::{success, Failure, InstantRow, LabelMap, QueryResult, RangeRow, Value};
use super::evaluate::{self, Steps, SERIES_MAX};
use super::org::{metric_of, OrgStore};
use super::params::{now_ms, Params};
use super::selector::{self, Asked, Selector};
use super::{aside, door, Query};
use crate::names::Labels;

/// The version of Prometheus whose API this is a part of; Grafana asks before it uses `match[]`.
const DIALECT: &str = "2.24.0";

type Body = Result<Vec<u8>, Failure>;
/// What an endpoint works out of an organization's windows.
type Work = fn(&OrgStore, &Params) -> Body;

pub fn routes() -> Router<Arc<Query>> {
    let mut router = Router::new();
    let endpoints: [(&'static str, Work); 6] = [
        ("query", query),
        ("query_range", query_range),
        ("series", series),
        ("labels", labels),
        ("metadata", metadata),
        ("status/buildinfo", build_info),
    ];
    for (name, work) in endpoints {
        let handler =
            move |state, headers, query, form| answer(state, headers, query, form, name, work);
        router = router.route(&format!("/api/v1/{name}"), get(handler).post(handler));
    }
    router
        .route(
            "/api/v1/label/{name}/values",
            get(label_values).post(label_values),
        )
        .route("/api/v1/{*rest}", any(unknown))
}

async fn answer(
    State(state): State<Arc<Query>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    form: Bytes,
    endpoint: &'static str,
    work: Work,
) -> Response {
    let params = Params::of_request(query.as_deref(), &form);
    let body = work_out(&state, &headers, move |org| work(org, &params)).await;
    respond(&state, endpoint, body)
}

async fn label_values(
    State(state): State<Arc<Query>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    form: Bytes,
) -> Response {
    let params = Params::of_request(query.as_deref(), &form);
    let work = move |org: &OrgStore| values_of(org, &params, &name);
    let body = work_out(&state, &headers, work).await;
    respond(&state, "label_values", body)
}

async fn unknown(State(state): State<Arc<Query>>, headers: HeaderMap) -> Response {
    let opened = door::organization(&state.tokens, &headers).map_err(Failure::from);
    let absent = Failure::not_found("no such endpoint: plain selectors are answered here");
    respond(&state, "unknown", opened.and(Err(absent)))
}

async fn work_out(
    state: &Query,
    headers: &HeaderMap,
    work: impl FnOnce(&OrgStore) -> Body + Send + 'static,
) -> Body {
    let org = door::organization(&state.tokens, headers)?;
    if !*state.filled.borrow() {
        return Err(Failure::unavailable(
            "the latest windows are still being read",
        ));
    }
    let store: Option<Arc<RwLock<OrgStore>>> = state.store.org(&org);
    let turn = state.turn().await;
    let _turn = turn.ok_or_else(|| Failure::unavailable("too many queries at a time"))?;
    let worked = aside(move || match store {
        Some(store) => work(&store.read()),
        None => work(&OrgStore::default()),
    });
    worked
        .await
        .ok_or_else(|| Failure::internal("the query failed"))?
}

fn respond(state: &Query, endpoint: &'static str, body: Body) -> Response {
    let (status, response) = match body {
        Ok(body) => {
            let json = [(header::CONTENT_TYPE, "application/json")];
            (200, (StatusCode::OK, json, body).into_response())
        }
        Err(failure) => (failure.status, failure.into_response()),
    };
    state.metrics.queried(endpoint, status);
    response
}

fn query(org: &OrgStore, params: &Params) -> Body {
    let at_ms = params.moment("time")?.unwrap_or_else(now_ms);
    let result = match selector::parse(params.query()?)? {
        Asked::Scalar(value) => QueryResult::Scalar(Value(at_ms, value)),
        Asked::Instant(selector) => {
            let rows = evaluate::steps(org, &selector, Steps::at(at_ms))?;
            let row = |row: evaluate::Row| {
                let value = row.values.first().map(|(_, value)| Value(at_ms, *value))?;
                let metric = LabelMap(row.labels);
                Some(InstantRow { metric, value })
            };
            QueryResult::Vector(rows.into_iter().filter_map(row).collect())
        }
        Asked::Range(selector, range) => {
            let range_ms = i64::try_from(range.as_millis()).unwrap_or(i64::MAX);
            let from_ms = at_ms.saturating_sub(range_ms);
            let rows = evaluate::raw(org, &selector, from_ms, at_ms)?;
            QueryResult::Matrix(rows.into_iter().map(RangeRow::from).collect())
        }
    };
    success(result)
}

fn query_range(org: &OrgStore, params: &Params) -> Body {
    let steps = params.steps()?;
    let rows = match selector::parse(params.query()?)? {
        Asked::Scalar(value) => vec![evaluate::Row {
            labels: Labels::default(),
            values: steps.moments().map(|ms| (ms, value)).collect(),
        }],
        Asked::Instant(selector) => evaluate::steps(org, &selector, steps)?,
        Asked::Range(..) => {
            let what = "a range where a value at each step is asked for";
            return Err(selector::QueryError::Unsupported(what).into());
        }
    };
    success(QueryResult::Matrix(
        rows.into_iter().map(RangeRow::from).collect(),
    ))
}

/// Labels of the series that one of the selectors selects; of all when there is none.
fn selected<'a>(org: &'a OrgStore, selectors: &'a [Selector]) -> impl Iterator<Item = Labels> + 'a {
    let may_match = move |rule: &&Arc<str>| {
        let metric = metric_of(rule);
        selectors.is_empty() || selectors.iter().any(|s| s.may_match(&metric))
    };
    let rules = org.rules().into_iter().filter(may_match);
    let all = rules.flat_map(|rule| org.rule(rule, ..).series);
    all.map(|series| series.labels)
        .filter(move |labels| selectors.is_empty() || selectors.iter().any(|s| s.matches(labels)))
}

fn series(org: &OrgStore, params: &Params) -> Body {
    let selectors = params.selectors()?;
    if selectors.is_empty() {
        return Err(super::params::ParamError::Missing("match[]").into());
    }
    let limit = params
        .limit()?
        .filter(|limit| *limit > 0)
        .unwrap_or(SERIES_MAX);
    let found = selected(org, &selectors).take(limit.min(SERIES_MAX));
    success(found.map(LabelMap).collect::<Vec<_>>())
}

fn labels(org: &OrgStore, params: &Params) -> Body {
    let selectors = params.selectors()?;
    let mut names = BTreeSet::new();
    for labels in selected(org, &selectors) {
        for (name, _) in labels.iter() {
            if !names.contains(name) {
                names.insert(name.to_owned());
            }
        }
    }
    success(cut(names, params)?)
}

fn values_of(org: &OrgStore, params: &Params, name: &str) -> Body {
    let selectors = params.selectors()?;
    let mut values = BTreeSet::new();
    for labels in selected(org, &selectors) {
        let value = labels.get(name).filter(|value| !values.contains(*value));
        values.extend(value.map(str::to_owned));
    }
    success(cut(values, params)?)
}

fn cut(found: BTreeSet<String>, params: &Params) -> Result<Vec<String>, Failure> {
    let limit = params
        .limit()?
        .filter(|limit| *limit > 0)
        .unwrap_or(usize::MAX);
    Ok(found.into_iter().take(limit).collect())
}

fn metadata(org: &OrgStore, params: &Params) -> Body {
    let (metric, limit) = (params.get("metric"), params.limit()?);
    let limit = limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let mut found = BTreeMap::new();
    for rule in org.rules() {
        let name = metric_of(rule);
        if metric.is_some_and(|metric| metric != name) {
            continue;
        }
        let newest = org.windows_of(rule).next_back();
        let length = newest.map(|(end, start)| end - start);
        let seconds = length.unwrap_or(0) / 1000;
        let help = format!("Rule {rule} over windows of {seconds} s");
        let line = json!({ "type": "gauge", "help": help, "unit": "" });
        found.entry(name).or_insert_with(Vec::new).push(line);
    }
    success(found.into_iter().take(limit).collect::<BTreeMap<_, _>>())
}

fn build_info(_: &OrgStore, _: &Params) -> Body {
    success(json!({
        "version": DIALECT,
        "revision": concat!("ratchet-", env!("CARGO_PKG_VERSION")),
        "branch": "", "buildUser": "", "buildDate": "", "goVersion": "",
    }))
}
