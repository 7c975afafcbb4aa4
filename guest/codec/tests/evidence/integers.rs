//! The formats of integers against other people's crates, in both directions.

use crate::config;
use integer_encoding::VarInt;
use proptest::collection::vec;
use proptest::prelude::*;
use ratchet_codec::{bytes, delta, streamvbyte, varint, zigzag, DecodeError};
use stream_vbyte::scalar::Scalar;
use streamvbyte64::{Coder, Coder1234};

/// Numbers of every length in bits.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0u32..=64).prop_map(|(n, zeros)| n.checked_shr(zeros).unwrap_or(0))
}

fn short() -> impl Strategy<Value = u32> {
    (any::<u32>(), 0u32..=32).prop_map(|(n, zeros)| n.checked_shr(zeros).unwrap_or(0))
}

/// Bytes that are a number, or nearly.
fn varint_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0x80), Just(0xff), 0x80u8..];
    let last = prop_oneof![Just(0), Just(1), Just(0x7f), any::<u8>()];
    (vec(byte, 0..12), last).prop_map(|(bytes, last)| [bytes, vec![last]].concat())
}

/// What a strict decoder of `bits`-bit numbers answers, in wide arithmetic.
fn slow_varint(bytes: &[u8], bits: usize) -> Result<(u64, usize), DecodeError> {
    let most = bits.div_ceil(7);
    let mut number: u128 = 0;
    for (n, &byte) in bytes.iter().take(most).enumerate() {
        number += u128::from(byte & 0x7f) << (7 * n);
        if byte < 0x80 {
            return match number {
                _ if number >> bits != 0 => Err(DecodeError::Overflow),
                _ if n > 0 && byte == 0 => Err(DecodeError::NonCanonical),
                _ => Ok((number as u64, n + 1)),
            };
        }
    }
    Err(match bytes.len() < most {
        true => DecodeError::Truncated,
        false => DecodeError::Overflow,
    })
}

proptest! {
    #![proptest_config(config(3_000))]

    #[test]
    fn varints_are_written_as_others_do(n in number(), at in 0usize..4) {
        let mut ours = [0xaa; 16];
        let end = varint::encode_u64(n, &mut ours, at).unwrap();
        let mut leb = Vec::new();
        leb128::write::unsigned(&mut leb, n).unwrap();
        prop_assert_eq!(&ours[at..end], &n.encode_var_vec()[..]);
        prop_assert_eq!(&ours[at..end], &leb[..]);
        prop_assert!(ours[..at].iter().chain(&ours[end..]).all(|&byte| byte == 0xaa));
        prop_assert_eq!(varint::decode_u64(&ours, at), Ok((n, end)));
        prop_assert_eq!(varint::encode_u64(n, &mut ours[..end - 1], at), None);
        let cut = varint::decode_u64(&ours[..end - 1], at);
        prop_assert_eq!(cut, Err(DecodeError::Truncated));
    }

    /// What two crates take for a number we take for the same, unless it is not strict.
    #[test]
    fn varints_are_read_as_others_do(bytes in varint_bytes(), at in 0usize..3) {
        let rest = bytes.get(at..).unwrap_or(&[]);
        let expected = slow_varint(rest, 64);
        let ours = varint::decode_u64(&bytes, at);
        prop_assert_eq!(ours, expected.map(|(n, length)| (n, at + length)));
        if let Ok((n, length)) = expected {
            let mut cursor = rest;
            prop_assert_eq!(leb128::read::unsigned(&mut cursor).unwrap(), n);
            prop_assert_eq!(rest.len() - cursor.len(), length);
            prop_assert_eq!(u64::decode_var(rest), Some((n, length)));
        }
        let narrow = slow_varint(rest, 32).map(|(n, length)| (n as u32, at + length));
        prop_assert_eq!(varint::decode_u32(&bytes, at), narrow);
        let beyond = varint::decode_u64(&bytes, usize::MAX - at);
        prop_assert_eq!(beyond, Err(DecodeError::Truncated));
    }

    #[test]
    fn zigzag_is_that_of_others(n in any::<i64>(), zeros in 0u32..64) {
        let n = n >> zeros;
        let mut code = [0; 10];
        let end = varint::encode_u64(zigzag::encode(n), &mut code, 0).unwrap();
        prop_assert_eq!(&code[..end], &n.encode_var_vec()[..]);
        prop_assert_eq!(i64::decode_var(&code[..end]), Some((n, end)));
        prop_assert_eq!(zigzag::decode(zigzag::encode(n)), n);
    }

    #[test]
    fn bytes_are_those_of_core(buffer in vec(any::<u8>(), 0..24), at in 0usize..28) {
        for at in [at, usize::MAX - at] {
            let part = |length: usize| buffer.get(at..at.checked_add(length)?);
            let word = part(4).map(|part| u32::from_le_bytes(part.try_into().unwrap()));
            let wide = part(8).map(|part| u64::from_le_bytes(part.try_into().unwrap()));
            prop_assert_eq!(bytes::read_u32(&buffer, at).ok(), word);
            prop_assert_eq!(bytes::read_u64(&buffer, at).ok(), wide);
        }
    }

    /// Codes of differences are those of a wide subtraction, and come back, or overflow.
    #[test]
    fn deltas_are_differences(values in vec(any::<i64>(), 0..40), base: i64, narrow in 0u32..63) {
        let values: Vec<i64> = values.iter().map(|n| n >> narrow).collect();
        let base = base >> narrow;
        let before = std::iter::once(&base).chain(&values);
        let pairs = before.zip(&values).map(|(last, n)| i128::from(*n) - i128::from(*last));
        let differences: Vec<Option<i64>> = pairs.map(|n| i64::try_from(n).ok()).collect();
        let mut buffer = values.clone();
        let encoded = delta::encode_in_place(&mut buffer, base);
        prop_assert_eq!(encoded.is_some(), differences.iter().all(Option::is_some));
        if encoded.is_some() {
            let codes = differences.iter().flatten().map(|&n| zigzag::encode(n) as i64);
            prop_assert_eq!(&buffer, &codes.collect::<Vec<_>>());
            prop_assert_eq!(delta::decode_in_place(&mut buffer, base), Ok(()));
            prop_assert_eq!(buffer, values);
        }
    }

    /// Sums of any codes: exactly the elements before an overflow are decoded.
    #[test]
    fn deltas_add_up(codes in vec(any::<i64>(), 0..12), base: i64, narrow in 0u32..63) {
        let codes: Vec<i64> = codes.iter().map(|&code| (code as u64 >> narrow) as i64).collect();
        let mut expected = codes.clone();
        let mut sum = i128::from(base);
        let whole = expected.iter_mut().position(|element| {
            sum += i128::from(zigzag::decode(*element as u64));
            i64::try_from(sum).map(|sum| *element = sum).is_err()
        });
        let mut buffer = codes;
        let decoded = delta::decode_in_place(&mut buffer, base);
        prop_assert_eq!(decoded.is_err(), whole.is_some());
        prop_assert_eq!(buffer, expected);
    }

    #[test]
    fn runs_are_written_as_others_do(numbers in vec(short(), 0..70)) {
        let count = numbers.len();
        let controls = count.div_ceil(4);
        let (mut control, mut data) = (vec![0xaa; controls], vec![0xaa; 4 * count]);
        let used = streamvbyte::encode(&numbers, &mut control, &mut data).unwrap();
        let run = [&control[..], &data[..used]].concat();
        let mut theirs = vec![0; 5 * count + 4];
        let length = stream_vbyte::encode::encode::<Scalar>(&numbers, &mut theirs);
        prop_assert_eq!(&theirs[..length], &run[..]);
        let whole = &numbers[..count - count % 4];
        let (mut tags, mut rest) = (vec![0; controls], vec![0; 4 * count]);
        let length = Coder1234::new().encode(whole, &mut tags, &mut rest);
        prop_assert_eq!(&tags[..count / 4], &control[..count / 4]);
        prop_assert_eq!(&rest[..length], &data[..length]);
        prop_assert_eq!(streamvbyte::data_len(&control, count), Ok(used));
        check_errors(&numbers, &control, &data[..used])?;
    }

    /// Any bytes are a run: every code means something.
    #[test]
    fn runs_are_read_as_others_do(
        control in vec(any::<u8>(), 0..20),
        data in vec(any::<u8>(), 320),
        last in 0usize..4,
        windows in vec((1usize..38, 0usize..50), 1..20),
    ) {
        let count = (4 * control.len()).saturating_sub(last);
        let mut theirs = vec![0; 4 * control.len()];
        let length = Coder1234::new().decode(&control, &data, &mut theirs);
        let mut out = vec![7; count + 2];
        let used = streamvbyte::decode(&control, &data, count, &mut out).unwrap();
        prop_assert_eq!(&out[..count], &theirs[..count]);
        prop_assert_eq!(&out[count..], &[7, 7]);
        prop_assert!(used <= length && (last > 0 || used == length));
        let stream = [&control[..], &data].concat();
        let mut others = vec![0; theirs.len()];
        let taken = stream_vbyte::decode::decode::<Scalar>(&stream, count, &mut others);
        prop_assert_eq!(&others[..count], &theirs[..count]);
        prop_assert_eq!(taken, control.len() + used);
        prop_assert_eq!(streamvbyte::data_len(&control, count), Ok(used));
        prop_assert_eq!(by_windows(&control, &data, count, &windows), &theirs[..count]);
    }
}

/// What lacks a byte, a code or room is refused.
fn check_errors(numbers: &[u32], control: &[u8], data: &[u8]) -> Result<(), TestCaseError> {
    let count = numbers.len();
    let mut out = vec![0; count];
    let whole = streamvbyte::decode(control, data, count, &mut out);
    prop_assert_eq!(whole, Ok(data.len()));
    prop_assert_eq!(&out, numbers);
    if count > 0 {
        let mut decode = |control, data, room: usize| {
            streamvbyte::decode(control, data, count, &mut out[..room]).unwrap_err()
        };
        let (fewer, less) = (&control[..control.len() - 1], &data[..data.len() - 1]);
        prop_assert_eq!(decode(control, less, count), DecodeError::Truncated);
        prop_assert_eq!(decode(fewer, data, count), DecodeError::Truncated);
        prop_assert_eq!(decode(control, data, count - 1), DecodeError::NoRoom);
        let (mut control, mut less) = (control.to_vec(), less.to_vec());
        prop_assert_eq!(streamvbyte::encode(numbers, &mut control, &mut less), None);
    }
    let too_many = streamvbyte::data_len(&[], usize::MAX);
    prop_assert_eq!(too_many, Err(DecodeError::Overflow));
    Ok(())
}

/// The run decoded block by block: each of a size, from a window of a width.
fn by_windows(control: &[u8], data: &[u8], count: usize, sizes: &[(usize, usize)]) -> Vec<u32> {
    let mut decoder = streamvbyte::Decoder::new(control, count).unwrap();
    let mut numbers = Vec::new();
    let mut sizes = sizes.iter().cycle();
    let mut cut_short = false;
    while decoder.remaining() > 0 {
        let &(room, width) = sizes.next().unwrap();
        // After a window that was too narrow for one number comes one that is not.
        let width = if cut_short { width.max(4) } else { width };
        let at = decoder.data_offset();
        let mut out = [7; 37];
        match decoder.next_block(&data[at..data.len().min(at + width)], &mut out[..room]) {
            Ok(n) => numbers.extend(&out[..n]),
            Err(error) => assert!(error == DecodeError::Truncated && width < 4),
        }
        cut_short = decoder.data_offset() == at;
    }
    assert_eq!(
        Ok(decoder.data_offset()),
        streamvbyte::data_len(control, count)
    );
    assert_eq!(decoder.next_block(&[], &mut [0; 4]), Ok(0));
    numbers
}
