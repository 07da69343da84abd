// SPDX-License-Identifier: Apache-2.0

// Package agent runs commands in a machine of the lab for the host.
//
// An operation is one TCP connection. The host sends a request and, for a
// command, input; the agent sends replies, the last of which is marked Done.
// Both directions are gob streams. A command runs in a process group of its
// own, which is killed when the connection ends: so the host's context decides
// over the process. A service is a process that outlives its connection; it
// logs to a file and is named by its PID.
//
// There is no authentication: the control network exists only inside of the
// lab's network namespace.
package agent

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// Command is a program to run in the machine. No shell is involved.
type Command struct {
	Argv []string
	Env  []string // added to the agent's environment
	Dir  string   // working directory; "" is /
	TTY  *Size    // give it a terminal of this size; output is then all stdout
}

// Size of a terminal, in characters.
type Size struct{ Rows, Columns uint16 }

// Exit tells how a process ended.
type Exit struct {
	Code   int         // exit code; 128 + Signal when a signal ended it
	Signal unix.Signal // 0 when it exited by itself
}

type operation int

const (
	opRun operation = iota + 1
	opStart
	opWait
	opSignal
	opReadFile
	opWriteFile
)

// request opens a connection.
type request struct {
	Op      operation
	Command Command     // opRun, opStart
	Log     string      // opStart: path of the file to append output to
	PID     int         // opWait, opSignal
	Signal  unix.Signal // opSignal
	Path    string      // opReadFile, opWriteFile
	Data    []byte      // opWriteFile
	Mode    fs.FileMode // opWriteFile
}

// input follows a request with opRun.
type input struct {
	Data []byte
	EOF  bool
}

type reply struct {
	Stdout, Stderr []byte
	Done           bool
	Err            string // the operation failed; nothing else is set
	Exit           Exit   // opRun, opWait
	PID            int    // opStart
	Data           []byte // opReadFile
}
