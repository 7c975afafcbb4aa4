//! Attributes as tags.

use std::borrow::Cow;

use base64::Engine as _;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use ratchet_codec::payload::MAX_STRING_LEN;
use serde_json::Value as Json;

use crate::tally::{Ignored, Tally};

/// Tags that every point of a scope has: those of its scope before those of its resource.
pub type Inherited = Vec<(String, String)>;
/// Tags of one point.
pub type Tags<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Keys of what identifies a scope, as OpenTelemetry names them where there are only tags.
const SCOPE_NAME: &str = "otel.scope.name";
const SCOPE_VERSION: &str = "otel.scope.version";
const SCOPE_PREFIX: &str = "otel.scope.";

/// The tags of a scope and its resource.
pub fn inherited(
    resource: Option<&Resource>,
    scope: Option<&InstrumentationScope>,
    tally: &mut Tally,
) -> Inherited {
    let mut tags = Inherited::new();
    if let Some(scope) = scope {
        add(&mut tags, SCOPE_NAME.to_owned(), scope.name.clone());
        add(&mut tags, SCOPE_VERSION.to_owned(), scope.version.clone());
        for attribute in &scope.attributes {
            let key = format!("{SCOPE_PREFIX}{}", attribute.key);
            add(&mut tags, key, text(attribute, tally).into_owned());
        }
    }
    for attribute in resource.map_or(&[][..], |resource| &resource.attributes) {
        let value = text(attribute, tally).into_owned();
        add(&mut tags, attribute.key.clone(), value);
    }
    tags
}

/// The first of a key stays.
fn add(tags: &mut Inherited, key: String, value: String) {
    if !value.is_empty() && tags.iter().all(|(known, _)| *known != key) {
        tags.push((key, value));
    }
}

/// The tags of a point: its own attributes before those that it inherits. `reserved` is a key that
/// the point gets from elsewhere.
pub fn of_point<'a>(
    attributes: &'a [KeyValue],
    inherited: &'a Inherited,
    reserved: Option<&str>,
    tally: &mut Tally,
) -> Tags<'a> {
    let mut tags = Tags::with_capacity(attributes.len() + inherited.len() + 1);
    for attribute in attributes {
        let key = attribute.key.as_str();
        if Some(key) != reserved && tags.iter().all(|(known, _)| known != key) {
            tags.push((key.into(), text(attribute, tally)));
        }
    }
    let own = tags.len();
    for (key, value) in inherited {
        if Some(key.as_str()) != reserved && tags[..own].iter().all(|(known, _)| known != key) {
            tags.push((key.into(), value.into()));
        }
    }
    tags
}

/// An attribute's value as text; one that is too long is cut.
fn text<'a>(attribute: &'a KeyValue, tally: &mut Tally) -> Cow<'a, str> {
    let mut text = plain(attribute.value.as_ref());
    let most = MAX_STRING_LEN as usize;
    if text.len() > most {
        tally.ignore(Ignored::CutTag, 1);
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at));
        text = text[..end.unwrap_or(0)].to_owned().into();
    }
    text
}

fn plain(value: Option<&AnyValue>) -> Cow<'_, str> {
    match value.and_then(|value| value.value.as_ref()) {
        None => "".into(),
        Some(Value::StringValue(text)) => text.into(),
        Some(Value::BoolValue(value)) => value.to_string().into(),
        Some(Value::IntValue(value)) => value.to_string().into(),
        Some(Value::DoubleValue(value)) => value.to_string().into(),
        Some(Value::BytesValue(bytes)) => base64(bytes).into(),
        Some(list) => json(list).to_string().into(),
    }
}

/// Lists and maps are told as JSON. Decoding bounded how deep they are.
fn json(value: &Value) -> Json {
    let inner = |value: &AnyValue| value.value.as_ref().map_or(Json::Null, json);
    match value {
        Value::StringValue(text) => Json::from(text.as_str()),
        Value::BoolValue(value) => Json::from(*value),
        Value::IntValue(value) => Json::from(*value),
        Value::DoubleValue(value) => Json::from(*value),
        Value::BytesValue(bytes) => Json::from(base64(bytes)),
        Value::ArrayValue(list) => list.values.iter().map(inner).collect(),
        Value::KvlistValue(list) => Json::Object(
            list.values
                .iter()
                .map(|pair| {
                    (
                        pair.key.clone(),
                        pair.value.as_ref().map_or(Json::Null, inner),
                    )
                })
                .collect(),
        ),
        // A reference into a table that metrics do not have.
        Value::StringValueStrindex(_) => Json::Null,
    }
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
