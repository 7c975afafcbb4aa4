//! The rules as tables without repetition. Numbers in one table are indexes of another.

/// What becomes of the values of a group and window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sum,
    Max,
    Min,
    Count,
    Avg,
}

/// What a leaf of a filter asks of a value. No absent tag passes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    Present,
    Value(u32),
    /// Ascending.
    Values(&'static [u32]),
    Prefix(&'static [u8]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub metric: u32,
    pub filter: u32,
    pub group: u32,
    pub kind: Kind,
    pub window: u32,
}

/// A key that the rules of a metric look at, and their tests of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUse {
    pub key: u32,
    pub tests: &'static [u32],
    /// That of them which every value passes, or `NONE`.
    pub present: u32,
    /// Those that ask for a prefix.
    pub loose: &'static [Loose],
}

/// A text passes when its first eight bytes under the mask are these, and it starts with `rest`,
/// which is empty where the first bytes say it all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loose {
    pub test: u32,
    pub mask: u64,
    pub head: u64,
    pub rest: &'static [u8],
}

impl Loose {
    /// Whether a text passes; `head` is that of the text.
    #[inline(always)]
    pub fn is_met(&self, head: u64, text: &[u8]) -> bool {
        head & self.mask == self.head && (self.rest.is_empty() || text.starts_with(self.rest))
    }
}

/// Operations of a filter's postfix code, and what of a word is the argument: of a test its index,
/// of `AND` and `OR` how many operands they take.
pub const TEST: u32 = 0;
pub const TRUE: u32 = 1 << 24;
pub const NOT: u32 = 2 << 24;
pub const AND: u32 = 3 << 24;
pub const OR: u32 = 4 << 24;
pub const ARGUMENT: u32 = (1 << 24) - 1;

/// The rules of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Sorted by bytes, as keys and values are.
    pub metrics: &'static [&'static [u8]],
    pub keys: &'static [&'static [u8]],
    /// Literals of comparisons and lists, whatever their key.
    pub values: &'static [&'static [u8]],
    /// Distinct leaves of filters: a key and what is asked of its value.
    pub tests: &'static [(u32, Test)],
    /// Distinct filters, in postfix code.
    pub filters: &'static [&'static [u32]],
    /// Most operands that a filter's evaluation holds at a time.
    pub stack: usize,
    /// Distinct lists of group-by keys, ascending.
    pub groups: &'static [&'static [u32]],
    /// Most keys in one of them.
    pub group_keys: usize,
    /// Distinct window sizes in milliseconds, ascending.
    pub windows: &'static [u32],
    /// As in the blob.
    pub rules: &'static [Rule],
    /// By metric: its rules, and the keys that they look at, both ascending.
    pub metric_rules: &'static [&'static [u32]],
    pub metric_keys: &'static [&'static [KeyUse]],
    /// By literal: pairs of a key and a test that it passes there.
    pub literal_tests: &'static [&'static [(u32, u32)]],
}

/// The most operands that a filter's evaluation can hold at a time.
pub const STACK_MAX: usize = ratchet_rules::MAX_FILTER_LEAVES;

static NO_RULES: Spec = Spec {
    metrics: &[],
    keys: &[],
    values: &[],
    tests: &[],
    filters: &[],
    stack: 1,
    groups: &[],
    group_keys: 0,
    windows: &[],
    rules: &[],
    metric_rules: &[],
    metric_keys: &[],
    literal_tests: &[],
};

/// No rules: for scratch space that is not in use yet.
impl Default for &'static Spec {
    fn default() -> Self {
        &NO_RULES
    }
}
