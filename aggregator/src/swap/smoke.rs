//! The last check before a module serves: an instance with the real rules, and one message.

use bytes::Bytes;
use ratchet_codec::payload::validate;
use ratchet_codec::payload::write::MessageBuilder;
use ratchet_sandbox::{Module, Runner};

use crate::configuration::Configuration;

/// Points in the smoke message.
const POINTS: u32 = 16;

/// An instance that has taken the rules and one message of the first rule's metric.
pub fn warm_runner(module: &Module, configuration: &Configuration) -> Result<Runner, String> {
    let mut runner = Runner::new(module, std::sync::Arc::from(&*configuration.blob));
    let payload = message(configuration)?;
    let header = validate(&payload).map_err(|error| format!("smoke message: {error}"))?;
    runner
        .process(&payload, &header, |_| ())
        .map_err(|fault| format!("smoke message: {fault}"))?;
    Ok(runner)
}

fn message(configuration: &Configuration) -> Result<Bytes, String> {
    let mut builder = MessageBuilder::new();
    let metric: &[u8] = configuration
        .rules
        .first()
        .map_or(b"smoke", |rule| &rule.rule.metric);
    for i in 0..POINTS {
        let host = format!("smoke-{}", i % 4);
        let tags = [("host", host.as_str())];
        builder
            .point(metric, &tags, 1_000_000 + i64::from(i), f64::from(i) + 0.1)
            .map_err(|error| format!("smoke message: {error}"))?;
    }
    let bytes = builder
        .finish()
        .map_err(|error| format!("smoke message: {error}"))?;
    Ok(Bytes::from(bytes))
}
