//! Filters that refuse a thread system calls.

/// Has the kernel do `verdict` (`SECCOMP_RET_…`) when this thread, or one that it starts, makes one of the system
/// calls. Returns false where no filter can be had.
#[must_use]
pub(crate) fn filter(syscalls: &[libc::c_long], verdict: u32) -> bool {
    let statement = |code: u32, k: u32, jt: u8| libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt,
        jf: 0,
        k,
    };
    let length = u8::try_from(syscalls.len()).unwrap();
    // The number of the system call is the first word of what a filter sees.
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (number, left) in syscalls.iter().zip((0..length).rev()) {
        let number = u32::try_from(*number).unwrap();
        // Over the comparisons that are left and the permission.
        let jump = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        program.push(statement(jump, number, left + 1));
    }
    for end in [libc::SECCOMP_RET_ALLOW, verdict] {
        program.push(statement(libc::BPF_RET | libc::BPF_K, end, 0));
    }
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).unwrap(),
        filter: program.as_mut_ptr(),
    };
    let (yes, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: a thread may always give up gaining privileges.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, unused, unused, unused) } != 0 {
        return false;
    }
    // SAFETY: the kernel copies the program, which lives until the call returns; it binds this thread
    // and those that it starts.
    (unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const filter,
        )
    }) == 0
}
