//! Runs messages through a module, on an instance that is replaced from time to time.

use crate::engine::{Compiled, Kind, Module};
use crate::fault::Fault;
use crate::host::State;
use crate::limits::Limits;
use crate::policy::World;
use crate::records::{Checker, Record};
use bytes::Bytes;
use ratchet_codec::payload::Header;
use std::sync::Arc;
use wasmtime::component::{TypedFunc, WasmList};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap};

type Fields = (u32, u32, u32, u32, u32, u32, i64, i64);

/// The export `process`.
enum Process {
    /// Its records stay in the guest's memory until the next call.
    Lends(TypedFunc<Fields, (WasmList<u8>,)>),
    /// Its runtime frees them when the call ends: they are copied before.
    Gives(TypedFunc<Fields, (Vec<u8>,)>),
}

/// The packed records of a message.
enum Answer {
    Lent(WasmList<u8>),
    Given(Vec<u8>),
}

/// One module with one rules blob. It makes an instance when it needs one, drops it at a fault, and
/// replaces it after [`Limits::messages_per_instance`] messages.
pub struct Runner {
    module: Module,
    rules: Arc<[u8]>,
    checker: Result<Checker, String>,
    live: Option<Live>,
    records: Vec<Record>,
    fuel_used: u64,
}

struct Live {
    store: Store<State>,
    process: Process,
    messages: u32,
}

impl Runner {
    /// Does no work yet but parsing `rules`; what is wrong with them is told by `process`.
    pub fn new(module: &Module, rules: Arc<[u8]>) -> Self {
        let checker = match ratchet_rules::parse(&rules) {
            Ok(parsed) => Ok(Checker::new(&parsed)),
            Err(error) => Err(format!("rules blob: {error}")),
        };
        let module = module.clone();
        Runner {
            module,
            rules,
            checker,
            live: None,
            records: Vec::new(),
            fuel_used: 0,
        }
    }

    /// Aggregates one message, and lends its checked records to `read`.
    ///
    /// `header` must be what [`ratchet_codec::payload::validate`] gave for `payload`. After a fault
    /// the instance is gone; the next message gets a new one.
    pub fn process<R>(
        &mut self,
        payload: &Bytes,
        header: &Header,
        read: impl FnOnce(&[Record]) -> R,
    ) -> Result<R, Fault> {
        let done = self.run(payload, header, read);
        if done.is_err() {
            self.reset();
        }
        done
    }

    /// Fuel that messages have used so far, without `init`. Always 0 in production.
    pub fn fuel_used(&self) -> u64 {
        self.fuel_used
    }

    /// Drops the instance and its buffers. Its slot in the pool is free for other modules.
    pub fn reset(&mut self) {
        self.live = None;
        self.records = Vec::new();
    }

    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Memory of its instance; `None` while it has none.
    pub fn instance_bytes(&self) -> Option<usize> {
        let live = self.live.as_ref()?;
        Some(live.store.data().memory_bytes)
    }

    fn run<R>(
        &mut self,
        payload: &Bytes,
        header: &Header,
        read: impl FnOnce(&[Record]) -> R,
    ) -> Result<R, Fault> {
        let compiled = &*self.module.compiled;
        let checker = match &mut self.checker {
            Ok(checker) => checker,
            Err(reason) => return Err(Fault::Init(reason.clone())),
        };
        if self
            .live
            .as_ref()
            .is_some_and(|l| l.messages >= compiled.limits.messages_per_instance)
        {
            self.live = None;
        }
        let live = match &mut self.live {
            Some(live) => live,
            none => none.insert(Live::start(compiled, &self.rules)?),
        };
        live.messages += 1;
        let answer = live.call(compiled, payload, header)?;
        if compiled.kind == Kind::Evaluation {
            let left = live.store.get_fuel().unwrap_or(0);
            self.fuel_used += compiled.limits.fuel_per_message.saturating_sub(left);
        }
        let bytes = match &answer {
            Answer::Lent(list) => list.as_le_slice(&live.store),
            Answer::Given(bytes) => bytes,
        };
        let max = compiled.limits.records_max;
        let records = checker.check(bytes, header, max, &mut self.records)?;
        let done = read(records);
        live.store.data_mut().end();
        Ok(done)
    }
}

impl Live {
    /// A fresh instance that has accepted the rules.
    fn start(compiled: &Compiled, rules: &[u8]) -> Result<Live, Fault> {
        let limits = &compiled.limits;
        let _call = compiled.clock.call();
        let state = State::new(limits.memory_bytes, compiled.world);
        let mut store = Store::new(compiled.pre.engine(), state);
        store.limiter(|state| state);
        allow(
            &mut store,
            compiled.kind,
            limits.init_deadline_ticks,
            limits.fuel_per_init,
        );
        let instance = compiled.pre.instantiate(&mut store).map_err(|error| {
            if error.is::<PoolConcurrencyLimitError>() {
                return Fault::Capacity(error.to_string());
            }
            Fault::Init(format!("{error:#}"))
        })?;
        let untyped = |error: wasmtime::Error| Fault::Init(format!("{error:#}"));
        let init = instance
            .get_typed_func::<(&[u8],), ()>(&mut store, &compiled.init)
            .map_err(untyped)?;
        let export = compiled.process;
        let process = match compiled.world {
            World::Payload => instance
                .get_typed_func(&mut store, export)
                .map(Process::Lends),
            World::Wasi => instance
                .get_typed_func(&mut store, export)
                .map(Process::Gives),
        };
        let process = process.map_err(untyped)?;
        if let Err(error) = init.call(&mut store, (rules,)) {
            let (ticks, fuel) = (limits.init_deadline_ticks, limits.fuel_per_init);
            return Err(Fault::Init(
                fault(&error, store.data(), ticks, fuel).to_string(),
            ));
        }
        Ok(Live {
            store,
            process,
            messages: 0,
        })
    }

    fn call(
        &mut self,
        compiled: &Compiled,
        payload: &Bytes,
        header: &Header,
    ) -> Result<Answer, Fault> {
        let limits = &compiled.limits;
        let _call = compiled.clock.call();
        self.store
            .data_mut()
            .begin(payload.clone(), limits.reads_max);
        allow(
            &mut self.store,
            compiled.kind,
            limits.deadline_ticks,
            limits.fuel_per_message,
        );
        let h = header;
        let fields = (
            h.len, h.prefix, h.strings, h.keys, h.sets, h.points, h.min_ts, h.max_ts,
        );
        let called = match &self.process {
            Process::Lends(process) => process
                .call(&mut self.store, fields)
                .map(|(list,)| Answer::Lent(list)),
            Process::Gives(process) => process
                .call(&mut self.store, fields)
                .map(|(bytes,)| Answer::Given(bytes)),
        };
        called.map_err(|error| {
            let state = self.store.data();
            fault(
                &error,
                state,
                limits.deadline_ticks,
                limits.fuel_per_message,
            )
        })
    }
}

/// Behind a limit of fuel stands a deadline so many times as wide.
const BACKSTOP: u64 = Limits::BUILTIN_FACTOR as u64;

fn allow(store: &mut Store<State>, kind: Kind, ticks: u64, fuel: u64) {
    if kind == Kind::Evaluation {
        // It fails only where the engine counts no fuel, and this one does.
        let counted = store.set_fuel(fuel);
        debug_assert!(counted.is_ok());
        store.set_epoch_deadline(ticks.saturating_mul(BACKSTOP));
    } else {
        store.set_epoch_deadline(ticks);
    }
}

/// The most telling reason of a failed call.
fn fault(error: &wasmtime::Error, state: &State, ticks: u64, fuel: u64) -> Fault {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => return Fault::Deadline { ticks },
        Some(Trap::OutOfFuel) => return Fault::OutOfFuel { fuel },
        _ => {}
    }
    if let Some(reason) = &state.refused_read {
        return Fault::Trap(reason.clone());
    }
    if let Some(wanted) = state.refused_memory {
        return Fault::Memory {
            wanted,
            limit: state.memory_limit(),
        };
    }
    Fault::Trap(format!("{error:#}"))
}
