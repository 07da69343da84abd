// SPDX-License-Identifier: Apache-2.0

package openiscsi

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/mallee-io/mallee/internal/command"
)

// Exit codes of iscsiadm (include/iscsi_err.h of open-iscsi).
const (
	exitTransport     = 4
	exitTimeout       = 8
	exitSessionExists = 15
	exitLogin         = 19
	exitNoDaemon      = 20
	exitNothingFound  = 21
	exitNoSession     = 22
	exitLoginAuth     = 24
)

// Reasons for which a login fails, for errors.Is.
var (
	ErrTimeout     = errors.New("login timed out")
	ErrUnreachable = errors.New("cannot connect")
	ErrRefused     = errors.New("the target refused this initiator")
	ErrNoDaemon    = errors.New("iscsid does not answer")
)

// Login logs in to p, whose record must exist, and waits for the outcome. A
// session that is there already is success. When ctx ends early iscsid may
// still finish the login.
func (in *Initiator) Login(ctx context.Context, p Portal) error {
	if err := p.check(); err != nil {
		return err
	}
	_, err := in.Run.Run(ctx, "iscsiadm", "-m", "node", "-T", p.Target, "-p", portalArg(p), "-I", p.Iface, "--login")
	switch command.ExitCode(err) {
	case exitSessionExists:
		return nil
	case exitTransport:
		return fmt.Errorf("login to %s: %w", p, ErrUnreachable)
	case exitTimeout:
		return fmt.Errorf("login to %s: %w", p, ErrTimeout)
	case exitNoDaemon:
		return fmt.Errorf("login to %s: %w", p, ErrNoDaemon)
	case exitLogin, exitLoginAuth:
		// iscsid has the first for a CHAP secret that the target does not take, and
		// the second where it had none to offer (usr/login.c).
		return fmt.Errorf("login to %s: %w", p, ErrRefused)
	}
	if err != nil {
		return fmt.Errorf("login to %s: %w", p, err)
	}
	return nil
}

// Logout ends a session of ours. All its devices must be gone; one that is gone
// itself is success.
func (in *Initiator) Logout(ctx context.Context, s Session) error {
	_, err := in.Run.Run(ctx, "iscsiadm", "-m", "session", "-r", strconv.Itoa(s.ID), "-u")
	switch command.ExitCode(err) {
	case exitNothingFound, exitNoSession:
		return nil
	}
	if err != nil {
		return fmt.Errorf("logout from %s: %w", s.Portal, err)
	}
	return nil
}

func portalArg(p Portal) string {
	return fmt.Sprintf("%s,%d", p.Addr, p.TPGT)
}
