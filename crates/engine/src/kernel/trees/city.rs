//! CityHash64 of Pike and Alakuijala in its first version, which CatBoost keeps (`util/digest/city.cpp`). Later
//! versions of the function, which crates offer, give other numbers.

#![expect(
    clippy::many_single_char_names,
    reason = "the names of the original, to be held against it"
)]

const K0: u64 = 0xc3a5_c85c_97cb_3127;
const K1: u64 = 0xb492_b66f_be98_f273;
const K2: u64 = 0x9ae1_6a3b_2f90_404f;
const K3: u64 = 0xc949_d7c7_509e_6557;

/// What CatBoost knows a category by: the lower half of its hash (`CalcCatFeatureHash`).
#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
pub(crate) fn category_hash(category: &str) -> u32 {
    hash(category.as_bytes()) as u32
}

fn hash(s: &[u8]) -> u64 {
    match s.len() {
        0 => K2,
        1..=3 => up_to_3(s),
        4..=8 => {
            let first = u64::from(word(s, 0));
            let length = s.len() as u64;
            pair(length + (first << 3), u64::from(word(s, s.len() - 4)))
        }
        9..=16 => {
            let (a, b) = (long(s, 0), long(s, s.len() - 8));
            let length = s.len() as u64;
            pair(a, b.wrapping_add(length).rotate_right(s.len() as u32)) ^ b
        }
        17..=32 => up_to_32(s),
        33..=64 => up_to_64(s),
        _ => longer(s),
    }
}

fn up_to_3(s: &[u8]) -> u64 {
    let (a, b, c) = (s[0], s[s.len() / 2], s[s.len() - 1]);
    let y = u64::from(a) + (u64::from(b) << 8);
    let z = s.len() as u64 + (u64::from(c) << 2);
    mixed(y.wrapping_mul(K2) ^ z.wrapping_mul(K3)).wrapping_mul(K2)
}

fn up_to_32(s: &[u8]) -> u64 {
    let length = s.len();
    let a = long(s, 0).wrapping_mul(K1);
    let b = long(s, 8);
    let c = long(s, length - 8).wrapping_mul(K2);
    let d = long(s, length - 16).wrapping_mul(K0);
    let first = a.wrapping_sub(b).rotate_right(43);
    let first = first.wrapping_add(c.rotate_right(30)).wrapping_add(d);
    let second = a.wrapping_add((b ^ K3).rotate_right(20)).wrapping_sub(c);
    pair(first, second.wrapping_add(length as u64))
}

fn up_to_64(s: &[u8]) -> u64 {
    let length = s.len();
    let scaled = (length as u64).wrapping_add(long(s, length - 16));
    let a = long(s, 0).wrapping_add(scaled.wrapping_mul(K0));
    let v = four(s, a, long(s, 24), 0);
    let a = long(s, 16).wrapping_add(long(s, length - 32));
    let w = four(s, a, long(s, length - 8), length - 32);
    let r = v.0.wrapping_add(w.1).wrapping_mul(K2);
    let r = mixed(r.wrapping_add(w.0.wrapping_add(v.1).wrapping_mul(K0)));
    mixed(r.wrapping_mul(K0).wrapping_add(v.1)).wrapping_mul(K2)
}

/// Two numbers from the 32 bytes at `at`.
fn four(s: &[u8], a: u64, z: u64, at: usize) -> (u64, u64) {
    let b = a.wrapping_add(z).rotate_right(52);
    let c = a.rotate_right(37);
    let a = a.wrapping_add(long(s, at + 8));
    let c = c.wrapping_add(a.rotate_right(7));
    let a = a.wrapping_add(long(s, at + 16));
    let second = b.wrapping_add(a.rotate_right(31)).wrapping_add(c);
    (a.wrapping_add(z), second)
}

fn longer(s: &[u8]) -> u64 {
    let length = s.len();
    let whole = length as u64;
    let mut x = long(s, 0);
    let mut y = long(s, length - 16) ^ K1;
    let mut z = long(s, length - 56) ^ K0;
    let mut v = weak(s, length - 64, whole, y);
    let mut w = weak(s, length - 32, whole.wrapping_mul(K1), K0);
    z = z.wrapping_add(mixed(v.1).wrapping_mul(K1));
    x = z.wrapping_add(x).rotate_right(39).wrapping_mul(K1);
    y = y.rotate_right(33).wrapping_mul(K1);
    for at in (0..length - 1).step_by(64).take((length - 1) / 64) {
        let sum = x.wrapping_add(y).wrapping_add(v.0);
        x = sum.wrapping_add(long(s, at + 16)).rotate_right(37);
        x = x.wrapping_mul(K1) ^ w.1;
        let sum = y.wrapping_add(v.1).wrapping_add(long(s, at + 48));
        y = sum.rotate_right(42).wrapping_mul(K1) ^ v.0;
        z = (z ^ w.0).rotate_right(33);
        v = weak(s, at, v.1.wrapping_mul(K1), x.wrapping_add(w.0));
        w = weak(s, at + 32, z.wrapping_add(w.1), y);
        std::mem::swap(&mut z, &mut x);
    }
    let first = pair(v.0, w.0).wrapping_add(mixed(y).wrapping_mul(K1));
    pair(first.wrapping_add(z), pair(v.1, w.1).wrapping_add(x))
}

fn weak(s: &[u8], at: usize, a: u64, b: u64) -> (u64, u64) {
    let (first, last) = (long(s, at), long(s, at + 24));
    let a = a.wrapping_add(first);
    let b = b.wrapping_add(a).wrapping_add(last).rotate_right(21);
    let c = a;
    let a = a
        .wrapping_add(long(s, at + 8))
        .wrapping_add(long(s, at + 16));
    let b = b.wrapping_add(a.rotate_right(44));
    (a.wrapping_add(last), b.wrapping_add(c))
}

fn pair(low: u64, high: u64) -> u64 {
    const FACTOR: u64 = 0x9ddf_ea08_eb38_2d69;
    let fold = |x: u64| (x ^ x >> 47).wrapping_mul(FACTOR);
    let a = (low ^ high).wrapping_mul(FACTOR);
    fold((high ^ a ^ a >> 47).wrapping_mul(FACTOR))
}

fn mixed(x: u64) -> u64 {
    x ^ x >> 47
}

fn long(s: &[u8], at: usize) -> u64 {
    s[at..].first_chunk().map_or(0, |b| u64::from_le_bytes(*b))
}

fn word(s: &[u8], at: usize) -> u32 {
    s[at..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that CatBoost 1.2.10 wrote for these categories.
    #[test]
    fn categories_are_known_by_the_numbers_catboost_knows_them_by() {
        let long = "a rather long name of a category that is above 64 bytes to reach the last road of hashing";
        for (category, known) in [
            ("red", -1_242_798_403),
            ("30", -2_140_459_198),
            ("blue", -863_087_293),
            ("green", 1_390_465_085),
            ("16 bytes exactly", -936_145_473),
            ("nineteen characters", -177_181_580),
            ("thirty-two bytes long, or so now", -1_481_259_102),
            (long, 1_393_023_867),
        ] {
            assert_eq!(category_hash(category).cast_signed(), known, "{category}");
        }
    }
}
