//! The 64 random bits by which a request knows its reply.

use std::fs::File;
use std::io::{self, Read};

use crate::machine::random;

/// The bits of one request, used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cookie(u64);

impl Cookie {
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

/// Returns 64 bits of the operating system's generator.
///
/// Drawn for each use, and never from a pool in the process: a forked child would draw what its
/// parent draws, and a virtual machine that is restored twice what it drew before.
///
/// # Errors
///
/// Where the system gives none, or its generator is not seeded yet.
pub(super) fn random_bits() -> io::Result<u64> {
    let mut bytes = [0; 8];
    match random(&mut bytes) {
        // Early in a boot: the device would answer with bits that can be guessed.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
        // Before Linux 3.17, under a filter, or elsewhere.
        Err(_) => File::open("/dev/urandom")?.read_exact(&mut bytes)?,
        Ok(()) => {}
    }
    Ok(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// P8: no cookie twice. Over forks too, because nothing is kept from one to the next.
    #[test]
    fn p8_no_cookie_twice() {
        let drawn: HashSet<u64> = (0..20_000).map(|_| random_bits().unwrap()).collect();
        assert_eq!(drawn.len(), 20_000);
        // Each bit is drawn: none is the same in all.
        let (any, all) = drawn
            .iter()
            .fold((0, u64::MAX), |(any, all), bits| (any | bits, all & bits));
        assert_eq!((any, all), (u64::MAX, 0));
    }
}
