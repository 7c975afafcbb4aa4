//! What the check and the reader say together. Nothing here is compiled into a program.

use super::{spec, Reader, Source, FIXED_COLUMNS};
use vstd::prelude::*;

verus! {

/// Whether every column can be decoded.
pub open spec fn is_readable<S: Source + ?Sized>(reader: Reader<'_, S>) -> bool {
    let (m, h) = (reader.message(), reader.fields());
    &&& reader.offers(0) && reader.offers(1) && spec::dictionary_readable(m, h)
    &&& reader.offers_run(2, h.keys as int)
    &&& reader.offers_run(3, h.sets as int)
    &&& reader.offers_run(4, h.points as int)
    &&& reader.offers_run(5, h.points as int)
    &&& reader.offers(6) && spec::column(m, 6).len() == 8 * h.points
    &&& spec::column(m, 7).len() == 0 || reader.offers_run(7, h.points as int)
    &&& forall|k: int| 0 <= k < h.keys ==> #[trigger] reader.offers(spec::key(k))
    &&& forall|k: int| 0 <= k < h.keys ==> #[trigger] spec::key_column_readable(m, h, k)
}

/// A valid message that was pulled whole can be read.
proof fn lemma_valid_is_readable<S: Source + ?Sized>(reader: Reader<'_, S>)
    requires
        spec::valid(reader.message()),
        reader.fields() == spec::header(reader.message()),
        forall|c: int| 0 <= c < spec::columns(reader.fields()) ==> #[trigger] reader.has(c),
    ensures
        is_readable(reader),
{
    let (m, h) = (reader.message(), reader.fields());
    lemma_offered(reader);
    assert forall|k: int| 0 <= k < h.keys implies #[trigger] reader.offers(spec::key(k)) by {
        assert(reader.offers(FIXED_COLUMNS + k));
    }
    assert forall|k: int| 0 <= k < h.keys implies #[trigger] spec::key_column_readable(m, h, k) by {
        assert(spec::key_column_valid(m, h, k));
    }
}

/// A reader takes the header of every valid message.
proof fn lemma_valid_is_within_limits(m: Seq<u8>)
    requires
        spec::valid(m),
    ensures
        spec::within_limits(spec::header(m)),
{
    let h = spec::header(m);
    assert(spec::column_valid(m, h, 0));
    assert(spec::column_valid(m, h, 1));
    assert(spec::column_valid(m, h, 2));
}

/// All columns lie within a message with a valid layout.
pub proof fn lemma_offered<S: Source + ?Sized>(reader: Reader<'_, S>)
    requires
        spec::layout_valid(reader.message(), reader.fields()),
        reader.fields().len == reader.message().len(),
        forall|c: int| 0 <= c < spec::columns(reader.fields()) ==> #[trigger] reader.has(c),
    ensures
        forall|c: int| 0 <= c < spec::columns(reader.fields()) ==> #[trigger] reader.offers(c),
{
    let (m, h) = (reader.message(), reader.fields());
    assert forall|c: int| 0 <= c < spec::columns(h) implies #[trigger] reader.offers(c) by {
        assert(reader.has(c));
        assert(spec::column_valid(m, h, c));
    }
}

} // verus!
