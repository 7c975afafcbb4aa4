//! Attributes of OpenTelemetry, and what tags they become.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use ratchet_ingest::tally::Tally;

use crate::kinds::{
    attribute, check, converted, gauge, limits, metric, number, request, text, with_owner, TS,
};
use crate::samples::point;

#[test]
fn attributes_become_tags() {
    let list = |values: Vec<Any>| {
        let values = values
            .into_iter()
            .map(|value| AnyValue { value: Some(value) });
        Any::ArrayValue(ArrayValue {
            values: values.collect(),
        })
    };
    let map = Any::KvlistValue(KeyValueList {
        values: vec![text("x", "y")],
    });
    let resource = vec![
        text("service.name", "cart"),
        text("env", "prod"),
        text("none", ""),
    ];
    let scope = InstrumentationScope {
        name: "lib".to_owned(),
        version: "1.2".to_owned(),
        attributes: vec![text("kind", "db")],
        ..InstrumentationScope::default()
    };
    let mut data = number(TS, Value::AsInt(1));
    data.attributes = vec![
        text("env", "dev"),
        attribute("http.status_code", Any::IntValue(200)),
    ];
    let requests = [with_owner(
        resource,
        scope,
        vec![metric("m", gauge(vec![data]))],
    )];
    let name = "m{env=dev,http.status_code=200,otel.scope.kind=db,otel.scope.name=lib,\
                otel.scope.version=1.2,service.name=cart}";
    check("layers", &requests, &[&[point(name, TS, 1.0)]]);
    let mut data = number(TS, Value::AsInt(1));
    data.attributes = vec![
        attribute("a", Any::BoolValue(true)),
        attribute("b", Any::DoubleValue(0.5)),
        attribute("c", Any::BytesValue(vec![1, 2])),
        attribute(
            "d",
            list(vec![Any::IntValue(1), Any::StringValue("x".to_owned())]),
        ),
        attribute("e", map),
        KeyValue {
            key: "f".to_owned(),
            ..KeyValue::default()
        },
    ];
    let requests = [request(vec![metric("m", gauge(vec![data]))])];
    let name = r#"m{a=true,b=0.5,c=AQI=,d=[1,"x"],e={"x":"y"}}"#;
    check("values", &requests, &[&[point(name, TS, 1.0)]]);
}

/// Where there are many, keys are told apart otherwise than where there are few.
#[test]
fn however_many_attributes_the_first_of_a_key_stays() {
    for distinct in [1, 7, 31, 32, 33, 300] {
        let attributes = |value: &str| {
            let named = (0..distinct).map(|n| text(&format!("k{n}"), value));
            named.collect::<Vec<_>>()
        };
        // The nearest value counts; empty ones of a resource do not, wherever they are.
        let resource = [attributes(""), attributes("far"), attributes("farther")].concat();
        let mut data = number(TS, Value::AsInt(1));
        data.attributes = [attributes("near"), attributes("nearer")].concat();
        let data = || vec![metric("m", gauge(vec![data.clone()]))];
        let bare = vec![metric("n", gauge(vec![number(TS, Value::AsInt(1))]))];
        let scope = InstrumentationScope::default;
        let requests = [
            with_owner(resource.clone(), scope(), data()),
            with_owner(resource, scope(), bare),
        ];
        let (found, tallies) = converted(&requests);
        if distinct > limits().tags {
            assert_eq!(found, [vec![], vec![]], "{distinct}");
            let of_reason = |tally: &Tally| tally.rejected.keys().map(|it| it.name()).collect();
            let reasons: Vec<Vec<_>> = tallies.iter().map(of_reason).collect();
            assert_eq!(reasons, [["too-many-tags"], ["too-many-tags"]]);
            continue;
        }
        let name = |metric: &str, value: &str| {
            let tags = (0..distinct).map(|n| format!("k{n}={value}"));
            format!("{metric}{{{}}}", tags.collect::<Vec<_>>().join(","))
        };
        let near = point(&name("m", "near"), TS, 1.0);
        let far = point(&name("n", "far"), TS, 1.0);
        assert_eq!(found, [vec![near], vec![far]], "{distinct}");
    }
}

#[test]
fn long_values_are_cut_where_a_character_ends() {
    let mut data = number(TS, Value::AsInt(1));
    data.attributes = vec![text("k", &"é".repeat(600)), text("l", &"x".repeat(2_000))];
    let (found, tallies) = converted(&[request(vec![metric("m", gauge(vec![data]))])]);
    let name = format!("m{{k={},l={}}}", "é".repeat(512), "x".repeat(1_024));
    assert_eq!(found, [vec![point(&name, TS, 1.0)]]);
    assert_eq!(tallies[0].ignored.values().sum::<u64>(), 2);
}
