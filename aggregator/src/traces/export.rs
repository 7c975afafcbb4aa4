//! Sends spans by OTLP/HTTP, from a thread of its own.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use opentelemetry_sdk::Resource;
use reqwest::blocking::Client;
use reqwest::redirect;

/// Spans that wait to be sent; those beyond are dropped.
const QUEUE_MAX: usize = 4096;
const BATCH_MAX: usize = 512;
const SEND_EVERY: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    #[error("{0:?} is no http:// or https:// address")]
    Endpoint(String),
    #[error("cannot send traces: {0}")]
    Client(String),
}

/// The provider, which is to be stopped at the end, and its tracer.
pub fn start(endpoint: &str) -> Result<(SdkTracerProvider, SdkTracer), TracesError> {
    let url = reqwest::Url::parse(endpoint).ok();
    let usable = url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !usable {
        return Err(TracesError::Endpoint(endpoint.to_owned()));
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client()?)
        .with_endpoint(endpoint)
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(TIMEOUT)
        .build()
        .map_err(|error| TracesError::Client(error.to_string()))?;
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE_MAX)
        .with_max_export_batch_size(BATCH_MAX)
        .with_scheduled_delay(SEND_EVERY)
        .build();
    let processor = BatchSpanProcessor::builder(exporter)
        .with_batch_config(config)
        .build();
    let provider = SdkTracerProvider::builder()
        // What gets here is chosen already.
        .with_sampler(Sampler::AlwaysOn)
        .with_resource(Resource::builder().with_service_name("ratchet").build())
        .with_span_processor(processor)
        .build();
    let tracer = provider.tracer("ratchet-aggregator");
    Ok((provider, tracer))
}

/// A blocking client has a runtime of its own, which must not be made within another.
fn client() -> Result<Client, TracesError> {
    let build = || {
        // Whoever runs this may have chosen one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::builder()
            .user_agent(concat!("ratchet/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .timeout(TIMEOUT)
            .no_proxy()
            .build()
    };
    let built = std::thread::spawn(build).join();
    let built = built.map_err(|_| TracesError::Client("the client panicked".to_owned()))?;
    built.map_err(|error| TracesError::Client(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_addresses() {
        let check = |endpoint: &str, good: bool| {
            assert_eq!(start(endpoint).is_ok(), good, "{endpoint}");
        };
        check("http://127.0.0.1:4318/v1/traces", true);
        check("https://otlp.example/v1/traces", true);
        check("grpc://127.0.0.1:4317", false);
        check("127.0.0.1:4318", false);
        check("", false);
    }
}
