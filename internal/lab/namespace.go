// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// insideKey is set in the environment of a process in the lab's namespaces.
const insideKey = "MALLEE_LAB_INSIDE"

// Enter moves the program into fresh network, PID and mount namespaces; call
// it first in main or TestMain. Outside it builds the root file system when it
// is missing, waits for its turn (one lab at a time), runs the program once
// more inside, and exits with its code; it returns only errors. Inside, where
// the program is PID 1, it returns nil.
//
// Whatever the program starts and makes (machines, taps, bridges, mounts) goes
// with it, even when it is killed. Signals are passed on; a Ctrl-C at the
// terminal reaches the inside twice.
//
// Extra are Debian's packages that the machines shall have beyond the usual; give
// them to Options.Packages, too.
func Enter(extra ...string) error {
	switch {
	case inside() && os.Getpid() == 1:
		return setUpNamespaces()
	case inside():
		return errors.New("cannot start a lab inside of a lab")
	case os.Geteuid() != 0:
		return errors.New("the lab needs root: it makes namespaces, taps and bridges")
	}
	lock, err := acquireLock(labLock, os.Stderr)
	if err != nil {
		return err
	}
	// There is no network inside, so what needs it is done here.
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	err = fetch(ctx, extra)
	stop()
	if err != nil {
		return err
	}
	code, err := reexecute(lock)
	if err != nil {
		return fmt.Errorf("cannot make the lab's namespaces: %w", err)
	}
	os.Exit(code)
	return nil
}

// fetch puts into the cache what a lab needs.
func fetch(ctx context.Context, extra []string) error {
	b, err := chosenBackend()
	if err != nil {
		return err
	}
	rootFS, err := RootFS(ctx, os.Stderr, extra...)
	if err != nil {
		return err
	}
	_, err = b.kernel(ctx, rootFS, os.Stderr)
	return err
}

func inside() bool { return os.Getenv(insideKey) != "" }

// reexecute runs this program inside and returns its exit code.
func reexecute(lock *os.File) (int, error) {
	// Pdeathsig fires when the thread that started the child ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), insideKey+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	// Join finds the namespaces by the PID in the lock.
	if _, err := lock.WriteAt([]byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0); err != nil {
		_ = cmd.Process.Kill()
		return 0, err
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s) // it may have ended just now
		}
	}()
	err := cmd.Wait()
	// Nothing else refers to the file by now: the collector would have closed it, and
	// let the next lab in, within minutes.
	runtime.KeepAlive(lock)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

func setUpNamespaces() error {
	// Without this, our mounts would appear on the host.
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("cannot mount /proc: %w", err)
	}
	return ipBatch(context.Background(), "link set lo up\n")
}

// Join moves a program that is not the lab into the namespaces of the lab that
// runs, by replacing it with nsenter(1) and itself. Inside it returns nil.
func Join() error {
	if inside() {
		return nil
	}
	pid, err := lockHolder()
	if err != nil {
		return err
	}
	nsenter, err := tool("nsenter")
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	argv := append(strings.Fields(EnterCommand(pid)), self)
	argv = append(argv, os.Args[1:]...)
	return unix.Exec(nsenter, argv, append(os.Environ(), insideKey+"=1"))
}

// EnterCommand is the command that runs another one inside of the lab with
// that PID on the host.
func EnterCommand(pid int) string {
	return fmt.Sprintf("nsenter --target %d --net --pid --mount --", pid)
}
