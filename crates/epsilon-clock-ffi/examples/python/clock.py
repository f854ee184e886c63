#!/usr/bin/env python3
"""The clock from Python, by ctypes: `clock.py libepsilon_clock.so`, or the testing library."""

import ctypes as c
import sys


class Interval(c.Structure):
    _fields_ = [("earliest_ns", c.c_int64), ("latest_ns", c.c_int64)]


class Options(c.Structure):
    _fields_ = (
        [(name, c.c_uint32) for name in ("size", "version", "sources", "refresh", "flags")]
        + [(name, c.c_uint32) for name in ("max_drift_ppb", "max_wander_ppb", "reserved")]
        + [
            (name + "_ns", c.c_uint64)
            for name in ("daemon_margin", "look_interval", "guard_interval")
            + ("max_error", "max_age", "assume_error")
        ]
    )


class Lease(c.Structure):
    _fields_ = [("expiry_ns", c.c_int64), ("margin_ns", c.c_uint64)]


class ClockError(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class Library:
    """Every function of the library, raising ClockError in place of returning a code."""

    ABI = 1
    ARGUMENTS = {
        "ec_options_init": [c.c_void_p],
        "ec_open": [c.c_void_p, c.c_void_p],
        "ec_close": [c.c_void_p],
        "ec_now": [c.c_void_p, c.c_void_p],
        "ec_after": [c.c_void_p, c.c_int64, c.c_void_p],
        "ec_begin_commit": [c.c_void_p, c.c_void_p],
        "ec_wait": [c.c_void_p, c.c_int64, c.c_uint64, c.c_void_p],
        "ec_hlc_open": [c.c_void_p, c.c_void_p, c.c_void_p],
        "ec_hlc_close": [c.c_void_p],
        "ec_hlc_tick": [c.c_void_p, c.c_void_p],
        "ec_hlc_encode": [c.c_uint64, c.c_void_p, c.c_size_t],
        "ec_lease_grant": [c.c_void_p, c.c_uint64, c.c_void_p],
        "ec_lease_held": [c.c_void_p, c.c_void_p, c.c_void_p],
        "ec_testing_machine_open": [c.c_void_p],
        "ec_testing_machine_close": [c.c_void_p],
        "ec_testing_open": [c.c_void_p, c.c_void_p, c.c_void_p],
        "ec_testing_write_maxerror": [c.c_void_p, c.c_int64],
    }

    def __init__(self, path):
        self.library = c.CDLL(path)
        self.library.ec_error_text.restype = c.c_char_p
        if self.library.ec_abi_version() != self.ABI:
            raise ImportError(f"{path} has another interface than {self.ABI}")
        for name, arguments in self.ARGUMENTS.items():
            if hasattr(self.library, name):
                getattr(self.library, name).argtypes = arguments

    def __getattr__(self, name):
        function = getattr(self.library, name)

        def call(*arguments):
            code = function(*arguments)
            if code:
                raise ClockError(code, self.library.ec_error_text(code).decode())

        return call


def main():
    ec = Library(sys.argv[1])
    options, clock, hlc, machine = Options(), c.c_void_p(), c.c_void_p(), c.c_void_p()
    ec.ec_options_init(c.byref(options))
    assert options.size == c.sizeof(Options), "these options are not those of the library"
    options.assume_error_ns = 2_000_000  # so that it runs everywhere
    scripted = hasattr(ec.library, "ec_testing_open")
    if scripted:
        ec.ec_testing_machine_open(c.byref(machine))
        ec.ec_testing_write_maxerror(machine, 1003)
        ec.ec_testing_open(machine, c.byref(options), c.byref(clock))
    else:
        ec.ec_open(c.byref(options), c.byref(clock))

    now, commit, past, stamp = Interval(), c.c_int64(), c.c_bool(), c.c_uint64()
    ec.ec_now(clock, c.byref(now))
    print(f"UTC is in [{now.earliest_ns}, {now.latest_ns}]")
    assert now.earliest_ns <= now.latest_ns

    ec.ec_begin_commit(clock, c.byref(commit))
    ec.ec_wait(clock, commit, 1_000_000_000, None)
    ec.ec_after(clock, commit, c.byref(past))
    assert past.value, "a wait ends only when the timestamp is past"

    ec.ec_hlc_open(clock, None, c.byref(hlc))
    ec.ec_hlc_tick(hlc, c.byref(stamp))
    eight = (c.c_uint8 * 8)()
    ec.ec_hlc_encode(stamp, eight, len(eight))
    assert bytes(eight) == stamp.value.to_bytes(8, "big")

    lease, held = Lease(), c.c_bool()
    ec.ec_lease_grant(c.byref(now), 10_000_000_000, c.byref(lease))
    ec.ec_lease_held(clock, c.byref(lease), c.byref(held))
    assert held.value

    ec.ec_hlc_close(hlc)
    ec.ec_close(clock)
    try:
        ec.ec_now(clock, c.byref(now))
    except ClockError as error:
        print(f"after closing: {error}")
        assert error.code == 3
    else:
        raise AssertionError("a closed clock was read")
    if scripted:
        ec.ec_testing_machine_close(machine)


if __name__ == "__main__":
    main()
