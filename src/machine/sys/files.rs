//! Pages that are mapped, and files that must be the kernel's.

use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// How long a [`MappedPage`] is: the smallest page there is.
const PAGE_LEN: usize = 4096;
const PAGE_WORDS: usize = PAGE_LEN / size_of::<AtomicU64>();

/// The first page of a file or device, mapped to be read while its owner writes it.
#[derive(Debug)]
pub(crate) struct MappedPage {
    words: NonNull<[AtomicU64; PAGE_WORDS]>,
}

// SAFETY: the page is only ever read, through atomics, and unmapped by its one owner.
unsafe impl Send for MappedPage {}
// SAFETY: as above; atomics may be read by any number of threads at once.
unsafe impl Sync for MappedPage {}

impl MappedPage {
    /// Maps the first page.
    ///
    /// A regular file must not be empty, and must not be cut short while it is mapped: then reading
    /// it would kill the process.
    ///
    /// # References
    ///
    /// - [mmap(2)]
    /// - Linux `drivers/ptp/ptp_vmclock.c`: what mapping `/dev/vmclock0` gives
    ///
    /// [mmap(2)]: https://man7.org/linux/man-pages/man2/mmap.2.html
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        // SAFETY: the kernel chooses the place, so no memory of this process is replaced; the
        // descriptor is open for as long as `file` is borrowed, and the mapping outlives it.
        let page = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                PAGE_LEN,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let words = NonNull::new(page.cast());
        words
            .map(|words| Self { words })
            .ok_or_else(|| io::Error::other("mapped at zero"))
    }

    /// Returns what is in it; every word may change at any time.
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64; PAGE_WORDS] {
        // SAFETY: the mapping is page-aligned, `PAGE_LEN` long and readable until `self` is dropped,
        // which the returned borrow cannot outlive; its owner writes to it meanwhile, and atomics allow for that.
        unsafe { self.words.as_ref() }
    }
}

impl Drop for MappedPage {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `of` with this length and is unmapped only here; no borrow
        // of it is left. The call cannot fail for such a range.
        let _ = unsafe { libc::munmap(self.words.as_ptr().cast(), PAGE_LEN) };
    }
}

/// Returns true if the file is the kernel's own, and not one that something else put in its place.
pub(crate) fn is_sysfs(file: &File) -> bool {
    // SAFETY: `statfs` is a plain C struct of integers; all zeroes is a valid value.
    let mut found: libc::statfs = unsafe { core::mem::zeroed() };
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and the pointer comes from a live
    // exclusive reference to the struct, which is all that the call writes.
    let told = unsafe { libc::fstatfs(file.as_raw_fd(), &mut found) } == 0;
    // `SYSFS_MAGIC` of `include/uapi/linux/magic.h`; the field's type differs between targets.
    told && i128::from(found.f_type) == 0x6265_6572
}
