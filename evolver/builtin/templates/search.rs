/// The literals of the rules, by binary search.
struct Literals;

impl Literals {
    fn new() -> Self {
        Literals
    }

    fn find(&self, text: &[u8]) -> u32 {
        spec::VALUES.binary_search(&text).map_or(NONE, |at| at as u32)
    }
}
