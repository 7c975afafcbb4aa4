//! The metrics as text, with those of the process itself.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Encodes the metrics.
pub struct Exposition {
    registry: Registry,
    cpu_seconds: Counter<f64, AtomicU64>,
    resident_bytes: Gauge,
}

impl Exposition {
    /// Of a registry with the prefix of all, and of the process itself.
    pub fn of(mut registry: Registry) -> Self {
        let cpu_seconds = Counter::default();
        let help = "CPU time of this process";
        registry.register("process_cpu_seconds", help, cpu_seconds.clone());
        let resident_bytes = Gauge::default();
        let help = "Memory of this process that is in RAM";
        registry.register("process_resident_bytes", help, resident_bytes.clone());
        Self {
            registry,
            cpu_seconds,
            resident_bytes,
        }
    }

    /// Takes in the metrics of another part of the process.
    pub fn add(&mut self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.registry);
    }

    pub fn text(&self) -> Result<String, std::fmt::Error> {
        if let Some(cpu) = process_cpu() {
            let known = self.cpu_seconds.get();
            self.cpu_seconds
                .inc_by((cpu.as_secs_f64() - known).max(0.0));
        }
        if let Some(bytes) = resident_bytes() {
            self.resident_bytes.set(bytes);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Clock ticks a second in /proc; fixed by the Linux ABI.
const TICKS_PER_SECOND: u64 = 100;

/// User and system time of this process, where /proc tells it.
fn process_cpu() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}
