//! Answers in Prometheus's own form, good ones and bad ones.

use std::fmt::Display;

use axum::http::{header, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::Json;
use serde::ser::{SerializeMap, SerializeTuple};
use serde::{Serialize, Serializer};

use super::door::Closed;
use super::evaluate::{Row, TooMuch};
use super::params::ParamError;
use super::selector::QueryError;
use crate::names::Labels;

/// Why there is no good answer: status, Prometheus's type of error, and what to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub status: u16,
    kind: &'static str,
    error: String,
}

impl Failure {
    fn new(status: u16, kind: &'static str, error: impl Display) -> Self {
        let error = error.to_string();
        Self {
            status,
            kind,
            error,
        }
    }

    pub fn unavailable(error: impl Display) -> Self {
        Self::new(503, "unavailable", error)
    }

    pub fn not_found(error: impl Display) -> Self {
        Self::new(404, "not_found", error)
    }

    pub fn internal(error: impl Display) -> Self {
        Self::new(500, "internal", error)
    }
}

impl From<ParamError> for Failure {
    fn from(error: ParamError) -> Self {
        Self::new(400, "bad_data", error)
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        Self::new(400, "bad_data", error)
    }
}

impl From<TooMuch> for Failure {
    fn from(error: TooMuch) -> Self {
        Self::new(422, "execution", error)
    }
}

impl From<Closed> for Failure {
    fn from(closed: Closed) -> Self {
        let kind = match closed.status() {
            400 => "bad_data",
            401 => "unauthorized",
            403 => "forbidden",
            _ => "unavailable",
        };
        Self::new(closed.status(), kind, closed)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let body = serde_json::json!({
            "status": "error", "errorType": self.kind, "error": self.error,
        });
        let mut response = (status, Json(body)).into_response();
        if self.status == 401 {
            let bearer = header::HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

/// What a good answer holds.
#[derive(Serialize)]
pub struct Success<T> {
    status: &'static str,
    data: T,
}

pub fn success<T: Serialize>(data: T) -> Result<Vec<u8>, Failure> {
    let status = "success";
    serde_json::to_vec(&Success { status, data }).map_err(Failure::internal)
}

#[derive(Serialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub enum QueryResult {
    Scalar(Value),
    Vector(Vec<InstantRow>),
    Matrix(Vec<RangeRow>),
}

#[derive(Serialize)]
pub struct InstantRow {
    pub metric: LabelMap,
    pub value: Value,
}

#[derive(Serialize)]
pub struct RangeRow {
    pub metric: LabelMap,
    pub values: Vec<Value>,
}

impl From<Row> for RangeRow {
    fn from(row: Row) -> Self {
        Self {
            metric: LabelMap(row.labels),
            values: row
                .values
                .into_iter()
                .map(|(ms, value)| Value(ms, value))
                .collect(),
        }
    }
}

/// Labels as an object.
pub struct LabelMap(pub Labels);

impl Serialize for LabelMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// A moment in milliseconds and a value, written as seconds and text.
pub struct Value(pub i64, pub f64);

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_tuple(2)?;
        pair.serialize_element(&(self.0 as f64 / 1000.0))?;
        pair.serialize_element(&number(self.1))?;
        pair.end()
    }
}

/// A number as Prometheus writes it.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_prometheus_writes_them() {
        let check = |value: f64, expected: &str| assert_eq!(number(value), expected);
        check(1.0, "1");
        check(-0.5, "-0.5");
        check(0.1 + 0.2, "0.30000000000000004");
        check(1e21, "1000000000000000000000");
        check(f64::NAN, "NaN");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
        let written = success(QueryResult::Scalar(Value(1_500, 2.0))).unwrap();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            r#"{"status":"success","data":{"resultType":"scalar","result":[1.5,"2"]}}"#
        );
    }
}
