//! OTLP: metrics of OpenTelemetry, as points.

mod convert;
mod read;
mod tags;

pub use convert::{convert, needs_series, sources};
pub use read::{elements, from_json, from_protobuf, Elements};

pub use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
