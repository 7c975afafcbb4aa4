//! The empty WASI world: what a component of another language's runtime may import, and nothing
//! behind it.
//!
//! No files, no network, no environment, no arguments; standard input has ended and what is
//! written is thrown away. The clocks stand still, so a wait is over at once. Random numbers are a
//! fixed sequence that begins anew with `init` and with every message: an answer cannot depend on
//! what an instance did before.

use crate::host::State;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::{cli, filesystem, random, sync};
use wasmtime_wasi::p2::{subscribe, DynPollable, Pollable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// The interfaces of the empty world, in any version 0.2.
pub(crate) const INTERFACES: [&str; 20] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// Handles that an instance may hold: streams, pollables, errors.
const HANDLES_MAX: usize = 1_024;
/// Random bytes for one call.
const RANDOM_BYTES_MAX: u64 = 65_536;
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// One instance's empty world.
pub(crate) struct EmptyWorld {
    ctx: WasiCtx,
    table: ResourceTable,
    random: u64,
}

impl EmptyWorld {
    pub fn new() -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        // A context without anything is what the builder starts from.
        let ctx = WasiCtx::builder().build();
        EmptyWorld {
            ctx,
            table,
            random: SEED,
        }
    }

    /// Before `init` and before every message.
    pub fn begin(&mut self) {
        self.random = SEED;
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        if len > RANDOM_BYTES_MAX {
            let reason = format!("{len} random bytes, {RANDOM_BYTES_MAX} allowed");
            return Err(wasmtime::Error::msg(reason));
        }
        let mut bytes = Vec::with_capacity(len as usize + 8);
        while (bytes.len() as u64) < len {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(len as usize);
        Ok(bytes)
    }

    /// Something to wait for that has happened already.
    fn past(&mut self) -> wasmtime::Result<Resource<DynPollable>> {
        let past = self.table.push(Past)?;
        subscribe(&mut self.table, past)
    }
}

impl WasiView for EmptyWorld {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }
}

struct Past;

#[wasmtime_wasi::async_trait]
impl Pollable for Past {
    async fn ready(&mut self) {}
}

impl wall_clock::Host for EmptyWorld {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime {
            seconds: 0,
            nanoseconds: 0,
        })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime {
            seconds: 1,
            nanoseconds: 0,
        })
    }
}

impl monotonic_clock::Host for EmptyWorld {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(0)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, _when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.past()
    }

    fn subscribe_duration(&mut self, _time: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.past()
    }
}

impl random::random::Host for EmptyWorld {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.next())
    }
}

impl random::insecure::Host for EmptyWorld {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.next())
    }
}

impl random::insecure_seed::Host for EmptyWorld {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((SEED, SEED))
    }
}

/// The world itself, where its own functions answer.
struct Own;

impl HasData for Own {
    type Data<'a> = &'a mut EmptyWorld;
}

/// Its handles, where they do.
struct Handles;

impl HasData for Handles {
    type Data<'a> = &'a mut ResourceTable;
}

/// Adds the interfaces of the empty world to a linker, and no others.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let l = linker;
    wall_clock::add_to_linker::<State, Own>(l, State::wasi)?;
    monotonic_clock::add_to_linker::<State, Own>(l, State::wasi)?;
    random::random::add_to_linker::<State, Own>(l, State::wasi)?;
    random::insecure::add_to_linker::<State, Own>(l, State::wasi)?;
    random::insecure_seed::add_to_linker::<State, Own>(l, State::wasi)?;
    link_command_line(l)?;
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(l, |s| s.wasi().filesystem())?;
    sync::filesystem::types::add_to_linker::<State, WasiFilesystem>(l, |s| s.wasi().filesystem())?;
    sync::io::error::add_to_linker::<State, Handles>(l, |s| &mut s.wasi().table)?;
    sync::io::poll::add_to_linker::<State, Handles>(l, |s| &mut s.wasi().table)?;
    sync::io::streams::add_to_linker::<State, Handles>(l, |s| &mut s.wasi().table)
}

fn link_command_line(l: &mut Linker<State>) -> wasmtime::Result<()> {
    cli::environment::add_to_linker::<State, WasiCli>(l, |s| s.wasi().cli())?;
    cli::exit::add_to_linker::<State, WasiCli>(l, |s| s.wasi().cli())?;
    cli::stdin::add_to_linker::<State, WasiCli>(l, |s| s.wasi().cli())?;
    cli::stdout::add_to_linker::<State, WasiCli>(l, |s| s.wasi().cli())?;
    cli::stderr::add_to_linker::<State, WasiCli>(l, |s| s.wasi().cli())?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(l, |s| s.wasi().cli())?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(l, |s| s.wasi().cli())?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(l, |s| s.wasi().cli())?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(l, |s| s.wasi().cli())?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(l, |s| s.wasi().cli())
}
