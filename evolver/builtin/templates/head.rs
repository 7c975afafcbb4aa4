#![forbid(unsafe_code)]
// genome: {{genome}}

//@ if way=direct
use crate::spec::{self, Front, Kind, Lists, Test, ABSENT, NONE, UNSEEN};
//@ end
//@ if way=masks
use crate::spec::{self, Forest, Front, Kind, Lists, ABSENT, NONE, UNSEEN};
//@ end
//@ if way=lists
use crate::spec::{self, Front, Kind, Test, ABSENT, NONE, UNSEEN};
//@ end
use alloc::{vec, vec::Vec};
//@ if way=masks
use core::mem::take;
//@ end
use hashbrown::HashMap;
use ratchet_api::{meaning, Aggregate, DecodeError, Records, Refusal};
use ratchet_codec::payload::{Column, Message, Strings};

//@ if way=masks
const KEYS: usize = spec::KEYS.len();
//@ end
