//! What a module may use, with defaults that suit messages of up to 1 MiB.

use std::time::Duration;

/// The period at which an engine advances its epoch: the unit of every deadline.
pub const TICK: Duration = Duration::from_millis(5);

/// Bounds on modules. Built-in modules (the baseline and the per-point reference) are trusted, and
/// must serve what no other module could: they have [`Limits::BUILTIN_FACTOR`] times the time,
/// fuel, memory and records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of a component. Default 4 MiB.
    pub component_bytes: usize,
    /// Linear memory of an instance. Default 16 MiB; a growth beyond it fails inside the guest.
    pub memory_bytes: usize,
    /// Fuel for a message, in evaluation. Default 500,000,000.
    pub fuel_per_message: u64,
    /// Fuel for `init`, in evaluation. Default 2,000,000,000.
    pub fuel_per_init: u64,
    /// Epoch ticks for a message. Default 50, a quarter of a second.
    pub deadline_ticks: u64,
    /// Epoch ticks for `init`. Default 400, two seconds.
    pub init_deadline_ticks: u64,
    /// Records for a message. Default 262,144.
    pub records_max: usize,
    /// Calls of `payload.read` for a message. Default 4,096; together they may read the payload
    /// sixteen times.
    pub reads_max: u32,
    /// Messages that an instance serves before it is replaced. Default 4,096.
    pub messages_per_instance: u32,
    /// Instances alive at a time in an engine. Default 256; each reserves 4 GiB of addresses.
    pub instances_max: u32,
}

impl Limits {
    /// By how much the limits of built-in modules are wider.
    pub const BUILTIN_FACTOR: u32 = 16;

    pub(crate) fn builtin(&self) -> Limits {
        let factor = u64::from(Self::BUILTIN_FACTOR);
        Limits {
            memory_bytes: self.memory_bytes.saturating_mul(factor as usize),
            fuel_per_message: self.fuel_per_message.saturating_mul(factor),
            fuel_per_init: self.fuel_per_init.saturating_mul(factor),
            deadline_ticks: self.deadline_ticks.saturating_mul(factor),
            init_deadline_ticks: self.init_deadline_ticks.saturating_mul(factor),
            records_max: self.records_max.saturating_mul(factor as usize),
            ..self.clone()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            component_bytes: 4 << 20,
            memory_bytes: 16 << 20,
            fuel_per_message: 500_000_000,
            fuel_per_init: 2_000_000_000,
            deadline_ticks: 50,
            init_deadline_ticks: 400,
            records_max: 1 << 18,
            reads_max: 4096,
            messages_per_instance: 4096,
            instances_max: 256,
        }
    }
}
