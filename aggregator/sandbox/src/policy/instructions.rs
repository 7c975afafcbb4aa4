//! What a component's code consists of: its instructions by the specification's categories. The
//! evolver tells by it how far candidates lie apart.

use serde::Serialize;
use wasmparser::{BinaryReader, Error, Parser, Payload};

/// How many instructions of each class the core modules of a component hold. What only moves
/// values about (constants, locals, globals, `drop`) or frames blocks is in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Instructions {
    pub calls: u64,
    /// Also those that leave a function.
    pub branches: u64,
    pub loops: u64,
    pub loads: u64,
    pub stores: u64,
    /// Copies and fills of memories and tables.
    pub bulk: u64,
    /// Arithmetic, bits and comparisons.
    pub integers: u64,
    pub floats: u64,
    /// Between types of numbers, or their widths.
    pub conversions: u64,
    pub vectors: u64,
}

impl Instructions {
    /// Of a component that passed [`super::check_module`].
    pub fn of(component: &[u8]) -> Result<Self, Error> {
        let mut counts = Instructions::default();
        for payload in Parser::new(0).parse_all(component) {
            let Payload::CodeSectionEntry(body) = payload? else {
                continue;
            };
            for operator in body.get_operators_reader()?.into_iter_with_offsets() {
                let (_, offset) = operator?;
                counts.add(BinaryReader::new(&component[offset..], offset))?;
            }
        }
        Ok(counts)
    }

    fn add(&mut self, mut operator: BinaryReader<'_>) -> Result<(), Error> {
        let class = match operator.read_u8()? {
            PREFIX_MISC => self.misc(operator.read_var_u32()?),
            PREFIX_VECTOR => Some(self.vector(operator.read_var_u32()?)),
            opcode => self.plain(opcode),
        };
        if let Some(count) = class {
            *count += 1;
        }
        Ok(())
    }

    /// By the specification's index of instructions, where those of a class lie side by side.
    fn plain(&mut self, opcode: u8) -> Option<&mut u64> {
        Some(match opcode {
            0x03 => &mut self.loops,
            0x04 | 0x0c..=0x0f => &mut self.branches,
            0x10 | 0x11 => &mut self.calls,
            0x28..=0x35 => &mut self.loads,
            0x36..=0x3e => &mut self.stores,
            0x45..=0x5a | 0x67..=0x8a => &mut self.integers,
            0x5b..=0x66 | 0x8b..=0xa6 => &mut self.floats,
            0xa7..=0xc4 => &mut self.conversions,
            _ => return None,
        })
    }

    fn misc(&mut self, code: u32) -> Option<&mut u64> {
        match code {
            0..=7 => Some(&mut self.conversions),
            8 | 10 | 11 | 12 | 14 | 17 => Some(&mut self.bulk),
            _ => None,
        }
    }

    fn vector(&mut self, code: u32) -> &mut u64 {
        match code {
            0..=10 | 84..=87 | 92 | 93 => &mut self.loads,
            11 | 88..=91 => &mut self.stores,
            _ => &mut self.vectors,
        }
    }
}

const PREFIX_MISC: u8 = 0xfc;
const PREFIX_VECTOR: u8 = 0xfd;
