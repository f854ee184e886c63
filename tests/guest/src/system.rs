//! What an init has to do before anything runs, and at the end.

use std::ffi::CString;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
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
    bring_network_up();
    feed_randomness();
}

/// Has the kernel give out random bytes, for which it would wait for minutes: nothing happens in a
/// guest that it could not foresee. Nobody keeps a secret here.
fn feed_randomness() {
    /// `rand_pool_info` of the kernel: how many bits to believe in, how many bytes, the bytes.
    #[repr(C)]
    struct Entropy {
        bits: libc::c_int,
        size: libc::c_int,
        bytes: [u8; 64],
    }
    /// `RNDADDENTROPY`: `_IOW('R', 3, int[2])`.
    const ADD: libc::c_ulong = 0x4008_5203;
    let entropy = Entropy {
        bits: 512,
        size: 64,
        bytes: [0x5a; 64],
    };
    let device = std::fs::File::options().write(true).open("/dev/urandom");
    let device = device.expect("there is /dev/urandom");
    // SAFETY: the kernel reads the structure that the reference leads to, within its size.
    let failed = unsafe { libc::ioctl(device.as_raw_fd(), ADD, &entropy) };
    assert_eq!(failed, 0, "the kernel takes no randomness");
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

/// The address that daemons in this guest send from; not 127.*, which counts as no network to some.
const OWN: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

fn bring_network_up() {
    // SAFETY: has no conditions.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0) };
    assert!(socket >= 0, "there is no network in this kernel");
    let mut up = interface("lo");
    up.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).expect("two low bits");
    // SAFETY: reads the request that the reference leads to.
    let failed = unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS, &up) };
    assert_eq!(failed, 0, "the loopback does not come up");
    let mut named = interface("lo:1");
    let [family, address] = [libc::AF_INET.to_ne_bytes(), OWN.octets()];
    // A `sockaddr_in`: family, port, address.
    let bytes = [
        family[0], family[1], 0, 0, address[0], address[1], address[2], address[3],
    ];
    // SAFETY: all zeroes is a valid `sockaddr`.
    let mut own: libc::sockaddr = unsafe { std::mem::zeroed() };
    own.sa_family = libc::sa_family_t::from_ne_bytes([bytes[0], bytes[1]]);
    for (to, from) in own.sa_data.iter_mut().zip(&bytes[2..]) {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    named.ifr_ifru.ifru_addr = own;
    // SAFETY: reads the request that the reference leads to.
    let failed = unsafe { libc::ioctl(socket, libc::SIOCSIFADDR, &named) };
    assert_eq!(failed, 0, "the loopback takes no address");
    // SAFETY: closes a descriptor that only this function knows.
    unsafe { libc::close(socket) };
}

/// A request about an interface.
fn interface(name: &str) -> libc::ifreq {
    // SAFETY: all zeroes is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request
}

/// Makes `address` one of this guest's own, which is reached from another one.
///
/// So a server there is another host to the daemons: ntpd uses none whose address is 127.*, nor one
/// that it would reach from the server's own address.
pub(crate) fn answer_at(address: Ipv4Addr) {
    const ATTRIBUTE: u16 = 8;
    let mut message = Vec::new();
    // nlmsghdr: length, type, flags, sequence, port; the length is known in advance.
    message.extend(52_u32.to_ne_bytes());
    message.extend(libc::RTM_NEWROUTE.to_ne_bytes());
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_CREATE | libc::NLM_F_ACK;
    message.extend(u16::try_from(flags).expect("low bits").to_ne_bytes());
    message.extend([0; 8]);
    // rtmsg: one address of the family, in the local table.
    message.extend([
        u8::try_from(libc::AF_INET).expect("a small number"),
        32,
        0,
        0,
        libc::RT_TABLE_LOCAL,
        libc::RTPROT_BOOT,
        libc::RT_SCOPE_HOST,
        libc::RTN_LOCAL,
    ]);
    message.extend([0; 4]);
    let loopback = 1_u32.to_ne_bytes();
    let attributes = [
        (libc::RTA_DST, address.octets()),
        (libc::RTA_OIF, loopback),
        (libc::RTA_PREFSRC, OWN.octets()),
    ];
    for (kind, value) in attributes {
        message.extend(ATTRIBUTE.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(value);
    }
    assert_eq!(message.len(), 52);
    // SAFETY: has no conditions.
    let socket = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE) };
    assert!(socket >= 0, "there is no netlink in this kernel");
    // SAFETY: reads the message, within its length.
    let sent = unsafe { libc::send(socket, message.as_ptr().cast(), message.len(), 0) };
    let mut reply = [0_u8; 256];
    // SAFETY: writes to the reply, within its length.
    let received = unsafe { libc::recv(socket, reply.as_mut_ptr().cast(), reply.len(), 0) };
    assert!(sent == 52 && received >= 20, "netlink does not answer");
    // The error number of an acknowledgement follows its header.
    let error = i32::from_ne_bytes(reply[16..20].try_into().expect("four bytes"));
    assert_eq!(error, 0, "no route to {address}");
    // SAFETY: closes a descriptor that only this function knows.
    unsafe { libc::close(socket) };
}

/// Ends the guest.
pub(crate) fn power_off() -> ! {
    // SAFETY: nothing is expected of this kernel afterwards.
    unsafe { libc::reboot(libc::RB_POWER_OFF) };
    std::process::exit(1);
}
