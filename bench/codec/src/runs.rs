//! StreamVByte runs, decoded by the codec and by other crates.

use crate::block::{Item, SLACK};
use ratchet_codec::streamvbyte;
use streamvbyte64::Coder;

/// By the codec.
pub(crate) fn codec(item: &Item, out: &mut [u32]) -> Option<()> {
    let count = item.count as usize;
    let (control, data) = item.bytes.split_at_checked(count.div_ceil(4))?;
    streamvbyte::decode(control, data, count, out)
        .ok()
        .map(drop)
}

/// By the crate `stream-vbyte`.
pub(crate) fn stream_vbyte(item: &Item, out: &mut [u32]) -> Option<()> {
    let count = item.count as usize;
    stream_vbyte::decode::decode::<stream_vbyte::scalar::Scalar>(&item.bytes, count, out);
    Some(())
}

/// By the crate `streamvbyte64`, which knows groups of four only: the last one is padded by the
/// zeros that follow the run, which `out` has room for.
pub(crate) fn streamvbyte64(item: &Item, out: &mut [u32]) -> Option<()> {
    let groups = (item.count as usize).div_ceil(4);
    let (control, data) = item.bytes.split_at_checked(groups)?;
    let coder = streamvbyte64::Coder1234::new();
    coder.decode(control, data, out.get_mut(..4 * groups)?);
    Some(())
}

/// By the unverified reader.
pub(crate) fn unverified(item: &Item, out: &mut [u32]) -> Option<()> {
    let count = item.count as usize;
    if out.len() < count || item.bytes.len() < SLACK {
        return None;
    }
    // SAFETY: `out` has room, the run is followed by slack, and it is whole: the caller says so.
    unsafe { crate::unverified::run(item.bytes.as_ptr(), count, out.as_mut_ptr()) };
    Some(())
}
