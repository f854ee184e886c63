//! What an init has to do before anything runs, and at the end.

use std::ffi::CString;
use std::path::PathBuf;

/// Where a guest may write, unless its own programs are there: everything else is the host's, and
/// read only.
const WRITABLE: [&str; 3] = ["/run", "/tmp", "/var"];

/// Mounts what programs expect, on top of the host's file system, and brings the loopback up.
pub(crate) fn prepare() {
    mount("proc", "/proc", "proc", 0);
    mount("devtmpfs", "/dev", "devtmpfs", 0);
    let program = std::env::current_exe().expect("init has a path");
    let in_use = |path: &str| program.starts_with(path) || unpacked().starts_with(path);
    for path in WRITABLE.into_iter().filter(|path| !in_use(path)) {
        mount("tmpfs", path, "tmpfs", 0);
    }
    bring_loopback_up();
}

/// Where the daemons were unpacked: the second argument.
pub(crate) fn unpacked() -> PathBuf {
    std::env::args_os()
        .nth(2)
        .map_or_else(PathBuf::new, Into::into)
}

/// Shows `content` in the place of a file of the host, to this guest only.
pub(crate) fn replace_file(path: &str, content: &str) {
    let name = path.replace('/', "_");
    let own = format!("/run/{name}");
    std::fs::write(&own, content).expect("a file in /run");
    mount(&own, path, "", libc::MS_BIND);
}

fn mount(what: &str, at: &str, kind: &str, flags: libc::c_ulong) {
    let [what, place, kind] = [what, at, kind].map(|text| CString::new(text).expect("no zeroes"));
    // SAFETY: the pointers lead to strings that live until the call returns; no data is passed.
    let failed = unsafe {
        libc::mount(
            what.as_ptr(),
            place.as_ptr(),
            kind.as_ptr(),
            flags,
            std::ptr::null(),
        )
    };
    let error = std::io::Error::last_os_error();
    // Some kernels mount the devices themselves.
    let done = failed == 0 || error.raw_os_error() == Some(libc::EBUSY);
    assert!(done, "cannot mount {at}: {error}");
}

fn bring_loopback_up() {
    // SAFETY: all zeroes is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = libc::c_char::try_from(*from).expect("ASCII");
    }
    request.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).expect("two low bits");
    // SAFETY: has no conditions.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0) };
    assert!(socket >= 0, "there is no network in this kernel");
    // SAFETY: reads the request that the reference leads to.
    let failed = unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS, &request) };
    assert_eq!(failed, 0, "the loopback does not come up");
    // SAFETY: closes a descriptor that only this function knows.
    unsafe { libc::close(socket) };
}

/// Ends the guest.
pub(crate) fn power_off() -> ! {
    // SAFETY: nothing is expected of this kernel afterwards.
    unsafe { libc::reboot(libc::RB_POWER_OFF) };
    std::process::exit(1);
}
