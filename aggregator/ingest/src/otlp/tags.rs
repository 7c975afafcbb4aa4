//! Attributes as tags.

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine as _;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use ratchet_codec::payload::{MAX_KEYS, MAX_STRING_LEN};
use serde_json::Value as Json;

use crate::tally::{Ignored, Tally};

/// Tags, each key once.
pub type Tags<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// From so many tags on, a key is looked up among those that are known, not compared with each.
const FEW: usize = 32;

/// Inherited tags that are kept: a point that has so many, and perhaps another value of one of them
/// or none, is refused whatever the limit on tags is.
const KEPT: usize = MAX_KEYS as usize + 2;

/// Keys of what identifies a scope, as OpenTelemetry names them where there are only tags.
const SCOPE_NAME: &str = "otel.scope.name";
const SCOPE_VERSION: &str = "otel.scope.version";
const SCOPE_PREFIX: &str = "otel.scope.";

/// Collects tags; the first of a key stays.
struct Collector<'a> {
    tags: Tags<'a>,
    /// Keys, where there are more than a few.
    known: HashSet<Cow<'a, str>>,
}

impl<'a> Collector<'a> {
    fn with_capacity(tags: usize) -> Self {
        Self {
            tags: Tags::with_capacity(tags),
            known: HashSet::new(),
        }
    }

    fn has(&self, key: &str) -> bool {
        match self.known.is_empty() {
            true => self.tags.iter().any(|(known, _)| known == key),
            false => self.known.contains(key),
        }
    }

    fn push(&mut self, key: Cow<'a, str>, value: Cow<'a, str>) {
        if !self.known.is_empty() {
            self.known.insert(key.clone());
        } else if self.tags.len() == FEW {
            let keys = self.tags.iter().map(|(key, _)| key.clone());
            self.known = keys.chain([key.clone()]).collect();
        }
        self.tags.push((key, value));
    }

    fn add(&mut self, key: Cow<'a, str>, value: Cow<'a, str>) {
        if self.tags.len() < KEPT && !value.is_empty() && !self.has(&key) {
            self.push(key, value);
        }
    }
}

/// The tags of a resource.
pub fn of_resource<'a>(resource: Option<&'a Resource>, tally: &mut Tally) -> Tags<'a> {
    let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
    let mut tags = Collector::with_capacity(attributes.len());
    for attribute in attributes {
        tags.add(attribute.key.as_str().into(), text(attribute, tally));
    }
    tags.tags
}

/// Tags that every point of a scope has: those of the scope before those of its resource.
pub fn inherited<'a>(
    resource: &'a Tags<'_>,
    scope: Option<&'a InstrumentationScope>,
    tally: &mut Tally,
) -> Tags<'a> {
    let own = scope.map_or(0, |scope| 2 + scope.attributes.len());
    let mut tags = Collector::with_capacity(own + resource.len());
    if let Some(scope) = scope {
        tags.add(SCOPE_NAME.into(), scope.name.as_str().into());
        tags.add(SCOPE_VERSION.into(), scope.version.as_str().into());
        for attribute in &scope.attributes {
            let key = format!("{SCOPE_PREFIX}{}", attribute.key);
            tags.add(key.into(), text(attribute, tally));
        }
    }
    with_others(tags, resource, None)
}

/// The tags of a point: its own attributes before those that it inherits. `reserved` is a key that
/// the point gets from elsewhere.
pub fn of_point<'a>(
    attributes: &'a [KeyValue],
    inherited: &'a Tags<'_>,
    reserved: Option<&str>,
    tally: &mut Tally,
) -> Tags<'a> {
    let mut tags = Collector::with_capacity(attributes.len() + inherited.len() + 1);
    for attribute in attributes {
        let key = attribute.key.as_str();
        if Some(key) != reserved && !tags.has(key) {
            tags.push(key.into(), text(attribute, tally));
        }
    }
    with_others(tags, inherited, reserved)
}

/// Adds tags, of which no two have one key, where theirs is not known before.
fn with_others<'a>(own: Collector<'a>, others: &'a Tags<'_>, reserved: Option<&str>) -> Tags<'a> {
    let new =
        |(key, _): &&(Cow<'_, str>, Cow<'_, str>)| Some(key.as_ref()) != reserved && !own.has(key);
    let others: Vec<_> = others.iter().filter(new).collect();
    let mut tags = own.tags;
    let borrowed = |(key, value): &'a (Cow<'_, str>, Cow<'_, str>)| {
        (Cow::Borrowed(key.as_ref()), Cow::Borrowed(value.as_ref()))
    };
    tags.extend(others.into_iter().map(borrowed));
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
