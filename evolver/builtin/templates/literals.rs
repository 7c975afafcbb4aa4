//@ if literals=map
/// The literals of the rules, in a hash map.
struct Literals(HashMap<&'static [u8], u32>);

impl Literals {
    fn new() -> Self {
        Literals(spec::VALUES.iter().enumerate().map(|(at, &text)| (text, at as u32)).collect())
    }

    fn find(&self, text: &[u8]) -> u32 {
        self.0.get(text).copied().unwrap_or(NONE)
    }
}
//@ end
//@ if literals=table
/// The literals of the rules, in an open table that is at most a quarter full.
struct Literals {
    table: Vec<(u32, u32)>,
}

impl Literals {
    fn new() -> Self {
        let size = (4 * spec::VALUES.len()).next_power_of_two().max(16);
        let mut table = vec![(0, NONE); size];
        for (at, text) in spec::VALUES.iter().enumerate() {
            let hash = spec::hash(text);
            let mut slot = hash as usize & (size - 1);
            while table[slot].1 != NONE {
                slot = (slot + 1) & (size - 1);
            }
            table[slot] = (hash, at as u32);
        }
        Literals { table }
    }

    fn find(&self, text: &[u8]) -> u32 {
        let hash = spec::hash(text);
        let mask = self.table.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let (seen, at) = self.table[slot];
            if at == NONE || (seen == hash && same(spec::VALUES[at as usize], text)) {
                return at;
            }
            slot = (slot + 1) & mask;
        }
    }
}

//@ if compare=words
/// Equality by words of eight bytes; the last ones overlap.
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (Some(x), Some(y)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        return a.iter().zip(b).all(|(x, y)| x == y);
    };
    let words = |t: &[u8]| t.len() / 8;
    let mut equal = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
    for at in 0..words(a) {
        if let (Some(x), Some(y)) = (a[8 * at..].first_chunk::<8>(), b[8 * at..].first_chunk::<8>()) {
            equal |= u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        }
    }
    equal == 0
}
//@ else
fn same(a: &[u8], b: &[u8]) -> bool {
    a == b
}
//@ end
//@ end

