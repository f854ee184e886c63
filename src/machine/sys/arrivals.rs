//! When datagrams came in.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::NANOS_PER_SEC;

/// When the kernel took in what comes to a socket, and whether the clock that it says so by was stepped since.
///
/// # References
///
/// - [socket(7)], `SO_TIMESTAMPNS`; Linux `net/socket.c`: `__sock_recv_timestamp` stamps itself what came in
///   before stamps were turned on
/// - [timerfd_create(2)], `TFD_TIMER_CANCEL_ON_SET`; Linux `fs/timerfd.c`: `timerfd_clock_was_set`, which every
///   step calls before it returns to its caller
///
/// [socket(7)]: https://man7.org/linux/man-pages/man7/socket.7.html
/// [timerfd_create(2)]: https://man7.org/linux/man-pages/man2/timerfd_create.2.html
#[derive(Debug)]
pub(crate) struct Arrivals {
    steps: TimerFd,
}

/// A control message's header: a length in a word, a level and a type.
const HEADER: usize = size_of::<usize>() + 2 * size_of::<libc::c_int>();

impl Arrivals {
    /// Has the kernel stamp what comes to a socket from now on, and watches for steps.
    pub(crate) fn of(socket: &UdpSocket) -> io::Result<Self> {
        let at_once = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let steps = TimerFd::new(ClockId::CLOCK_REALTIME, at_once)?;
        // It is the cancellation that is waited for.
        let never = TimeSpec::new(libc::time_t::MAX, 0);
        let told_of_steps =
            TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        steps.set(Expiration::OneShot(never), told_of_steps)?;
        let on: libc::c_int = 1;
        #[allow(clippy::cast_possible_truncation, reason = "it is four")]
        let on_length = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: the descriptor is open for as long as `socket` is borrowed, and the pointer comes from a live
        // reference to an integer of the length that is given.
        let refused = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_TIMESTAMPNS,
                (&raw const on).cast(),
                on_length,
            )
        } != 0;
        if refused {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { steps })
    }

    /// Receives a datagram: how long it is, and real time in ns when the kernel took it in, if it says so.
    pub(crate) fn receive(
        socket: &UdpSocket,
        buffer: &mut [u8],
    ) -> io::Result<(usize, Option<i64>)> {
        // Words, for the kernel aligns what it writes from the beginning of this.
        let mut control = [0_usize; 16];
        let mut part = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        // SAFETY: `msghdr` is a plain C struct of integers and pointers; all zeroes is a valid value.
        let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        // SAFETY: the descriptor is open for as long as `socket` is borrowed. The call writes through the pointers in
        // the struct, no more than the lengths beside them say: `buffer` and `control`, which are borrowed
        // exclusively until it returns.
        let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) };
        let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
        // Zeroes are left behind what the kernel wrote, and a length of zero ends it.
        let bytes: Vec<u8> = control.iter().flat_map(|word| word.to_ne_bytes()).collect();
        Ok((length, stamp_in(&bytes)))
    }

    /// Returns true unless it is sure that real time was not stepped since the watch began.
    pub(crate) fn may_have_been_stepped(&self) -> bool {
        self.steps.wait() != Err(Errno::EAGAIN)
    }
}

/// Returns the first stamp among control messages, in ns.
fn stamp_in(mut control: &[u8]) -> Option<i64> {
    let int = |bytes: &[u8]| bytes.try_into().map(libc::c_int::from_ne_bytes).ok();
    loop {
        let (length, rest) = control.split_first_chunk::<{ size_of::<usize>() }>()?;
        let length = usize::from_ne_bytes(*length);
        let (level, kind) = (int(rest.get(..4)?)?, int(rest.get(4..8)?)?);
        let data = control.get(HEADER..length)?;
        if (level, kind) == (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
            let (secs, nanos) = data.split_at_checked(data.len() / 2)?;
            let word = |bytes: &[u8]| bytes.try_into().map(libc::c_long::from_ne_bytes).ok();
            #[allow(clippy::useless_conversion, reason = "they are `i64` on most targets")]
            let (secs, nanos) = (i64::from(word(secs)?), i64::from(word(nanos)?));
            return secs.checked_mul(NANOS_PER_SEC)?.checked_add(nanos);
        }
        control = control.get(length.max(HEADER).next_multiple_of(size_of::<usize>())..)?;
    }
}
