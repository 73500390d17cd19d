package storeclock

import (
	"syscall"
	"time"
	"unsafe"
)

// slept is for how long this machine has slept since it was started: the monotonic
// clock stands still meanwhile. That the wall clock is set is no sleep.
func slept(time.Time) time.Duration {
	const monotonic, bootTime = 1, 7
	awake := read(monotonic)
	return read(bootTime) - awake
}

func read(clock uintptr) time.Duration {
	var t syscall.Timespec
	// A clock that the system does not have reads zero, in both and each time.
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&t)), 0)
	return time.Duration(t.Nano())
}
