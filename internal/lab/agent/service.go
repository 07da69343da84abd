// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/gob"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// service is a process in the background.
type service struct {
	process *os.Process
	ended   chan struct{} // closed when exit is set
	exit    Exit
}

func (s *server) start(c Command, log string) (int, error) {
	cmd, err := command(c)
	if err != nil {
		return 0, err
	}
	// Appending, so that a program started again does not hide why the one
	// before it died.
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	service := &service{process: cmd.Process, ended: make(chan struct{})}
	s.mu.Lock()
	s.services[cmd.Process.Pid] = service
	s.mu.Unlock()
	go func() {
		service.exit, _ = wait(cmd)
		close(service.ended)
	}()
	return cmd.Process.Pid, nil
}

func (s *server) service(pid int) (*service, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	service, ok := s.services[pid]
	if !ok {
		return nil, fmt.Errorf("no service with PID %d", pid)
	}
	return service, nil
}

// wait returns how the service ended, or nothing of use when the host, which
// sends no more after its request, is gone.
func (s *service) wait(in *gob.Decoder) Exit {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = in.Decode(&input{})
	}()
	select {
	case <-s.ended:
		return s.exit
	case <-gone:
		return Exit{}
	}
}

func (s *service) signal(signal unix.Signal) error {
	if err := s.process.Signal(signal); err != nil {
		return fmt.Errorf("cannot signal PID %d: %w", s.process.Pid, err)
	}
	return nil
}
