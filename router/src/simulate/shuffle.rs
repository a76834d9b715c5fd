//! A seeded order: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) under a Fisher-Yates shuffle.

/// The numbers below `count` in an order that the seed decides.
pub fn order(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = seed;
    for last in (1..count).rev() {
        let below = last as u64 + 1;
        // The high half of the product maps the number to 0..below; its bias is below 2^-40 here.
        let pick = (u128::from(next(&mut state)) * u128::from(below)) >> 64;
        order.swap(last, usize::try_from(pick).unwrap_or(last));
    }
    order
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_stands_there_once_and_the_seed_alone_decides_where() {
        let mut one = order(1_000, 7);
        assert_eq!(one, order(1_000, 7));
        assert_ne!(one, order(1_000, 8));
        one.sort_unstable();
        assert_eq!(one, (0..1_000).collect::<Vec<_>>());
        assert!(order(0, 1).is_empty());
    }
}
