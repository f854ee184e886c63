// The clock from Go, by cgo; with `-tags scripted` against the testing library.
package main

/*
#include <epsilon_clock.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// Interval contains true time at some instant during the call that returned it.
type Interval struct{ Earliest, Latest time.Time }

// Clock is safe for any number of goroutines; Close it when none uses it any more.
type Clock struct{ handle *C.ec_clock }

func check(code C.ec_error) error {
	if code == C.EC_OK {
		return nil
	}
	return errors.New(C.GoString(C.ec_error_text(C.int32_t(code))))
}

// Now returns an interval, or an error that says why there is none.
func (clock Clock) Now() (Interval, error) {
	var now C.ec_interval
	err := check(C.ec_now(clock.handle, &now))
	return Interval{time.Unix(0, int64(now.earliest_ns)), time.Unix(0, int64(now.latest_ns))}, err
}

// Commit returns a timestamp that is surely past, in ns since 1970.
func (clock Clock) Commit(timeout time.Duration) (int64, error) {
	var timestamp C.int64_t
	if err := check(C.ec_begin_commit(clock.handle, &timestamp)); err != nil {
		return 0, err
	}
	err := check(C.ec_wait(clock.handle, timestamp, C.uint64_t(timeout), nil))
	return int64(timestamp), err
}

// Close makes every later call on the clock an error.
func (clock Clock) Close() error { return check(C.ec_close(clock.handle)) }

func run() error {
	var options C.ec_options
	if err := check(C.ec_options_init(&options)); err != nil {
		return err
	}
	options.assume_error_ns = 2000000 // so that it runs everywhere
	clock, err := open(&options)
	if err != nil {
		return err
	}
	now, err := clock.Now()
	if err != nil {
		return err
	}
	fmt.Println("UTC is in", now.Earliest.UTC(), now.Latest.UTC())
	first, err := clock.Commit(time.Second)
	if err != nil {
		return err
	}
	second, err := clock.Commit(time.Second)
	if err != nil {
		return err
	}
	if second <= first {
		return errors.New("the second commit is not after the first")
	}
	if err := clock.Close(); err != nil {
		return err
	}
	_, err = clock.Now()
	if err == nil {
		return errors.New("a closed clock was read")
	}
	fmt.Println("after closing:", err)
	return nil
}

func main() {
	if C.ec_abi_version() != C.EC_ABI_VERSION {
		fmt.Fprintln(os.Stderr, "the library has another interface")
		os.Exit(1)
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
