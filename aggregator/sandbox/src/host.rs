//! What an instance may ask of the host: byte ranges of the message, and memory.

use crate::policy::World;
use crate::wasi::EmptyWorld;
use crate::world;
use bytes::Bytes;
use wasmtime::component::Linker;
use wasmtime::{ResourceLimiter, StoreContextMut};

/// A guest may read a message so many times over, so that copies cannot outrun fuel.
const READ_FACTOR: u64 = 16;

/// The host's side of one instance.
pub(crate) struct State {
    payload: Bytes,
    reads_left: u32,
    bytes_left: u64,
    /// Why a read was refused. The guest is trapped by it.
    pub refused_read: Option<String>,
    memory_limit: usize,
    /// The size of its memory.
    pub memory_bytes: usize,
    /// The size that the guest wanted to grow to when it was refused.
    pub refused_memory: Option<usize>,
    /// Of a component that imports it.
    wasi: Option<Box<EmptyWorld>>,
}

impl State {
    pub fn new(memory_limit: usize, world: World) -> Self {
        State {
            payload: Bytes::new(),
            reads_left: 0,
            bytes_left: 0,
            refused_read: None,
            memory_limit,
            memory_bytes: 0,
            refused_memory: None,
            wasi: (world == World::Wasi).then(|| Box::new(EmptyWorld::new())),
        }
    }

    pub fn memory_limit(&self) -> usize {
        self.memory_limit
    }

    /// Makes `payload` the message that reads are served from.
    pub fn begin(&mut self, payload: Bytes, reads_max: u32) {
        self.bytes_left = READ_FACTOR * payload.len() as u64;
        self.reads_left = reads_max;
        self.payload = payload;
        if let Some(wasi) = &mut self.wasi {
            wasi.begin();
        }
    }

    /// The empty WASI world. Asked by what was linked to it alone, and only there is one.
    pub fn wasi(&mut self) -> &mut EmptyWorld {
        self.wasi.get_or_insert_with(|| Box::new(EmptyWorld::new()))
    }

    /// Lets go of the message.
    pub fn end(&mut self) {
        self.payload = Bytes::new();
    }

    /// A slice of the message, without a copy.
    fn read(&mut self, offset: u32, len: u32) -> Result<Bytes, String> {
        let end = u64::from(offset) + u64::from(len);
        if end > self.payload.len() as u64 {
            let have = self.payload.len();
            return Err(format!(
                "read of {len} bytes at {offset} of a message of {have} bytes"
            ));
        }
        if self.reads_left == 0 || self.bytes_left < u64::from(len) {
            return Err(format!(
                "too many reads of a message of {} bytes",
                self.payload.len()
            ));
        }
        self.reads_left -= 1;
        self.bytes_left -= u64::from(len);
        Ok(self.payload.slice(offset as usize..end as usize))
    }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let granted = desired <= self.memory_limit;
        if granted {
            self.memory_bytes = desired;
        } else {
            self.refused_memory = Some(desired);
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= crate::policy::TABLE_ELEMENTS_MAX as usize)
    }
}

/// Adds the world's one import to a linker.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.instance(world::PAYLOAD)?.func_wrap(
        world::READ,
        |mut store: StoreContextMut<'_, State>, (offset, len): (u32, u32)| {
            let state = store.data_mut();
            match state.read(offset, len) {
                Ok(bytes) => Ok((bytes,)),
                Err(reason) => {
                    state.refused_read = Some(reason.clone());
                    Err(wasmtime::Error::msg(reason))
                }
            }
        },
    )
}
