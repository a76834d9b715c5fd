//! One bit for each item of a fan-out.

/// A set of item indices below a fixed count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bits {
    bytes: Vec<u8>,
    set: u32,
}

impl Bits {
    /// An empty set for items below `count`.
    pub fn new(count: u32) -> Self {
        Self { bytes: vec![0; count.div_ceil(8) as usize], set: 0 }
    }

    /// Reads the form that [`Self::bytes`] gives; bits at and above `count` are dropped.
    pub fn from_bytes(bytes: &[u8], count: u32) -> Self {
        let mut bits = Self::new(count);
        for item in (0..count).filter(|item| {
            bytes.get((item / 8) as usize).is_some_and(|byte| byte & (1 << (item % 8)) != 0)
        }) {
            bits.insert(item);
        }
        bits
    }

    /// Adds an item; false where it was there or is beyond the count.
    pub fn insert(&mut self, item: u32) -> bool {
        let mask = 1 << (item % 8);
        match self.bytes.get_mut((item / 8) as usize) {
            Some(byte) if *byte & mask == 0 => {
                *byte |= mask;
                self.set += 1;
                true
            }
            _ => false,
        }
    }

    /// Whether an item is there.
    pub fn contains(&self, item: u32) -> bool {
        self.bytes.get((item / 8) as usize).is_some_and(|byte| byte & (1 << (item % 8)) != 0)
    }

    /// How many items are there.
    pub const fn len(&self) -> u32 {
        self.set
    }

    /// Whether no item is there.
    pub const fn is_empty(&self) -> bool {
        self.set == 0
    }

    /// A bit for each item, the lowest bit first.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_there_once_and_survives_its_bytes() {
        let mut bits = Bits::new(19);
        assert!(bits.insert(0) && bits.insert(18) && !bits.insert(18) && !bits.insert(24));
        assert_eq!(bits.len(), 2);
        assert_eq!(Bits::from_bytes(bits.bytes(), 19), bits);
    }
}
