// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/gob"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
)

// chunk is the most bytes of input or output in one message.
const chunk = 64 << 10

// Serve serves the host's operations until the listener fails.
func Serve(listener net.Listener) error {
	s := server{services: map[int]*service{}}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			s.serve(conn)
		}()
	}
}

type server struct {
	mu       sync.Mutex
	services map[int]*service // by PID, ended ones too: someone may yet wait
}

func (s *server) serve(conn net.Conn) {
	decoder := gob.NewDecoder(conn)
	replies := &replyWriter{encoder: gob.NewEncoder(conn)}
	var req request
	if err := decoder.Decode(&req); err != nil {
		return // a probe of the port, or the host is gone
	}
	last, err := s.handle(req, decoder, replies)
	if err != nil {
		last = reply{Err: err.Error()}
	}
	last.Done = true
	_ = replies.send(last) // the host may have gone; nobody else wants it
}

func (s *server) handle(req request, in *gob.Decoder, out *replyWriter) (reply, error) {
	switch req.Op {
	case opRun:
		exit, err := run(req.Command, in, out)
		return reply{Exit: exit}, err
	case opStart:
		pid, err := s.start(req.Command, req.Log)
		return reply{PID: pid}, err
	case opWait:
		service, err := s.service(req.PID)
		if err != nil {
			return reply{}, err
		}
		return reply{Exit: service.wait(in)}, nil
	case opSignal:
		service, err := s.service(req.PID)
		if err != nil {
			return reply{}, err
		}
		return reply{}, service.signal(req.Signal)
	case opReadFile:
		data, err := os.ReadFile(req.Path)
		return reply{Data: data}, err
	case opWriteFile:
		if err := os.MkdirAll(filepath.Dir(req.Path), 0o755); err != nil {
			return reply{}, err
		}
		return reply{}, os.WriteFile(req.Path, req.Data, req.Mode)
	}
	return reply{}, fmt.Errorf("unknown operation %d", req.Op)
}

// replyWriter lets stdout and stderr share one connection.
type replyWriter struct {
	mu      sync.Mutex
	encoder *gob.Encoder
}

func (w *replyWriter) send(r reply) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.encoder.Encode(r)
}

// writerFunc makes an io.Writer of a function that takes all or fails.
type writerFunc func([]byte) error

func (f writerFunc) Write(p []byte) (int, error) {
	if err := f(p); err != nil {
		return 0, err
	}
	return len(p), nil
}
