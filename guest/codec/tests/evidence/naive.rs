//! Messages read and written as plainly as can be, straight from `guest/README.md`. Nothing here
//! calls the codec, and nothing is fast.

pub mod reader;
pub mod writer;

/// The first four bytes, read as a number.
const MAGIC: u64 = 0x3150_5452;
const HEADER: usize = 48;
const FIXED_COLUMNS: usize = 8;
const SPARSE: u64 = 1 << 31;

fn align(at: usize) -> usize {
    at.div_ceil(8) * 8
}
