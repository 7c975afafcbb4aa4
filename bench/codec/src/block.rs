//! What a guest decodes in one call: several items, so that the call itself weighs little.

use ratchet_codec::bytes::read_u32;

/// Zero bytes after an item, as a message has: decoders may load past the end of what they decode.
pub const SLACK: usize = 16;

/// A message, or a StreamVByte run of `count` numbers, with [`SLACK`] bytes more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    pub count: u32,
    pub bytes: Vec<u8>,
}

/// A block of these items: of each its count, its length and its bytes. An item's slack is not
/// among them.
pub fn write(items: &[Item]) -> Vec<u8> {
    let mut block = Vec::new();
    for item in items {
        let bytes = &item.bytes[..item.bytes.len() - SLACK];
        block.extend(item.count.to_le_bytes());
        block.extend((bytes.len() as u32).to_le_bytes());
        block.extend_from_slice(bytes);
    }
    block
}

/// The items of a block; `None` when it is cut.
pub fn parse(block: &[u8]) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    let mut at = 0;
    while at < block.len() {
        let count = read_u32(block, at).ok()?;
        let len = read_u32(block, at + 4).ok()? as usize;
        let content = block.get(at + 8..)?.get(..len)?;
        let mut bytes = Vec::with_capacity(len + SLACK);
        bytes.extend_from_slice(content);
        bytes.resize(len + SLACK, 0);
        items.push(Item { count, bytes });
        at += 8 + len;
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_and_cut_ones_do_not() {
        let item = |count: u32, text: &[u8]| Item {
            count,
            bytes: [text, &[0; SLACK]].concat(),
        };
        let items = [item(3, b"abc"), item(0, b""), item(7, b"de")];
        let block = write(&items);
        assert_eq!(parse(&block).as_deref(), Some(&items[..]));
        assert_eq!(parse(&[]), Some(Vec::new()));
        for cut in [1, 4, 8, 10, block.len() - 1] {
            assert_eq!(parse(&block[..cut]), None, "{cut} bytes");
        }
    }
}
