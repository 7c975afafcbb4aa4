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
    /// What holds for components that import the empty WASI world. Default none: no component may.
    pub wasi: Option<WasiLimits>,
}

/// Bounds on components with a language's runtime in them: they are larger, and slower, than what
/// is made for this world alone. The other limits are the same for both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WasiLimits {
    /// Size of a component. Default 16 MiB.
    pub component_bytes: usize,
    /// Linear memory of an instance. Default 64 MiB.
    pub memory_bytes: usize,
    /// Fuel for a message, in evaluation. Default 5,000,000,000.
    pub fuel_per_message: u64,
    /// Fuel for `init`, in evaluation. Default 20,000,000,000.
    pub fuel_per_init: u64,
    /// Epoch ticks for a message. Default 200, one second.
    pub deadline_ticks: u64,
    /// Epoch ticks for `init`. Default 1,000, five seconds.
    pub init_deadline_ticks: u64,
}

impl Default for WasiLimits {
    fn default() -> Self {
        WasiLimits {
            component_bytes: 16 << 20,
            memory_bytes: 64 << 20,
            fuel_per_message: 5_000_000_000,
            fuel_per_init: 20_000_000_000,
            deadline_ticks: 200,
            init_deadline_ticks: 1_000,
        }
    }
}

impl Limits {
    /// By how much the limits of built-in modules are wider.
    pub const BUILTIN_FACTOR: u32 = 16;

    /// The limits of a component of the empty WASI world, where the policy admits any.
    pub(crate) fn with_wasi(&self) -> Option<Limits> {
        let wasi = self.wasi.as_ref()?;
        Some(Limits {
            component_bytes: wasi.component_bytes,
            memory_bytes: wasi.memory_bytes,
            fuel_per_message: wasi.fuel_per_message,
            fuel_per_init: wasi.fuel_per_init,
            deadline_ticks: wasi.deadline_ticks,
            init_deadline_ticks: wasi.init_deadline_ticks,
            ..self.clone()
        })
    }

    /// The most memory that any module of the engine may have.
    pub(crate) fn memory_bytes_max(&self) -> usize {
        let wasi = self.wasi.as_ref().map_or(0, |wasi| wasi.memory_bytes);
        self.builtin().memory_bytes.max(wasi)
    }

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
            wasi: None,
        }
    }
}
