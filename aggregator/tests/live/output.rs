//! What the aggregator emitted.

use std::collections::BTreeMap;

use async_nats::jetstream::{self, consumer::pull::OrderedConfig};
use futures::StreamExt;
use ratchet_codec::payload::{validate, Message};

use crate::traffic::{Key, Outcome};

/// Every aggregated point of an organization, with the version that emitted it.
pub struct Output {
    pub points: BTreeMap<Key, Outcome>,
    pub versions: BTreeMap<Key, u64>,
}

/// Reads all of AGGREGATES; a point that comes twice fails the test.
pub async fn collect(context: &jetstream::Context, org: &str) -> Output {
    let stream = context.get_stream("AGGREGATES").await.unwrap();
    let config = OrderedConfig {
        filter_subject: format!("aggregates.{org}"),
        ..OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await.unwrap();
    let mut left = consumer.cached_info().num_pending;
    let mut messages = consumer.messages().await.unwrap();
    let mut output = Output {
        points: BTreeMap::new(),
        versions: BTreeMap::new(),
    };
    while left > 0 {
        let message = messages.next().await.unwrap().unwrap();
        let header = |name: &str| {
            let headers = message.headers.as_ref().expect("headers");
            headers
                .get(name)
                .unwrap_or_else(|| panic!("no {name}"))
                .as_str()
                .to_owned()
        };
        assert_eq!(header("Ratchet-Configuration").len(), 64);
        assert_eq!(header("Ratchet-Module").len(), 64);
        let version: u64 = header("Ratchet-Version").parse().unwrap();
        for (key, outcome) in decode(&message.payload) {
            output.versions.insert(key.clone(), version);
            let twice = output.points.insert(key.clone(), outcome);
            assert!(twice.is_none(), "{key:?} was emitted twice");
        }
        left -= 1;
    }
    output
}

fn decode(payload: &[u8]) -> Vec<(Key, Outcome)> {
    let header = validate(payload).unwrap();
    let mut source = payload;
    let (mut mirror, mut bounds) = (Vec::new(), Vec::new());
    let mut message = Message::new(header, &mut source, &mut mirror).unwrap();
    message.pull_all().unwrap();
    let (mut keys, mut metrics, mut sets) = (Vec::new(), Vec::new(), Vec::new());
    let (mut times, mut values, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    message.key_ids(&mut keys).unwrap();
    message.metric_ids(&mut metrics).unwrap();
    message.set_ids(&mut sets).unwrap();
    message.timestamps(&mut times).unwrap();
    message.values(&mut values).unwrap();
    message.counts(&mut counts).unwrap();
    let columns: Vec<Vec<u32>> = (0..header.keys)
        .map(|key| {
            let mut column = Vec::new();
            message.key_column(key, &mut column).unwrap();
            column
        })
        .collect();
    let strings = message.strings(&mut bounds).unwrap();
    let text = |id: u32| String::from_utf8(strings.get(id).to_vec()).unwrap();
    let tags = |set: usize| -> Vec<(String, String)> {
        let present = keys
            .iter()
            .zip(&columns)
            .filter(|(_, column)| column[set] != 0);
        present
            .map(|(key, column)| (text(*key), text(column[set] - 1)))
            .collect()
    };
    (0..header.points as usize)
        .map(|i| {
            let set = sets[i] as usize;
            let key = (text(metrics[set]), times[i], tags(set));
            (key, (values[i].to_bits(), u64::from(counts[i])))
        })
        .collect()
}

/// Compares emitted points with expected ones, bit by bit; of many differences it shows a few.
pub fn assert_same(actual: &BTreeMap<Key, Outcome>, expected: &BTreeMap<Key, Outcome>) {
    let missing: Vec<_> = expected
        .iter()
        .filter(|(k, v)| actual.get(*k) != Some(*v))
        .collect();
    let surplus: Vec<_> = actual
        .keys()
        .filter(|k| !expected.contains_key(*k))
        .collect();
    let shown =
        |(key, value): &(&Key, &Outcome)| format!("{key:?}: {:?} != {value:?}", actual.get(*key));
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "{} of {} points missing or different, such as {:#?}; {} surplus, such as {:?}",
        missing.len(),
        expected.len(),
        missing.iter().take(3).map(shown).collect::<Vec<_>>(),
        surplus.len(),
        surplus.iter().take(3).collect::<Vec<_>>(),
    );
}
