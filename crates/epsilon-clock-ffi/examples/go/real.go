//go:build !scripted

package main

/*
#cgo pkg-config: epsilon_clock
#include <epsilon_clock.h>
*/
import "C"

func open(options *C.ec_options) (Clock, error) {
	var clock Clock
	err := check(C.ec_open(options, &clock.handle))
	return clock, err
}
