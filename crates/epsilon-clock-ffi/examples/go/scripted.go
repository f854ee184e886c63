//go:build scripted

package main

/*
#cgo pkg-config: epsilon_clock_testing
#include <epsilon_clock_testing.h>
*/
import "C"

func open(options *C.ec_options) (Clock, error) {
	var clock Clock
	var machine *C.ec_testing_machine
	if err := check(C.ec_testing_machine_open(&machine)); err != nil {
		return clock, err
	}
	if err := check(C.ec_testing_open(machine, options, &clock.handle)); err != nil {
		return clock, err
	}
	// Clocks go on after their machine's handle is closed.
	return clock, check(C.ec_testing_machine_close(machine))
}
