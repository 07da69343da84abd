// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/rpc"
)

// question is a path check that one machine is asked for.
type question struct {
	station *station
	check   *cloudv1.PathCheck
	answer  chan *cloudv1.PathCheckAnswer // takes one
}

// ask puts a question into a machine's state, until it is answered or withdrawn.
func (s *sites) ask(st *station, list string, probe bool) *question {
	q := &question{
		station: st, answer: make(chan *cloudv1.PathCheckAnswer, 1),
		check: &cloudv1.PathCheck{Id: rand.Text(), Paths: list, Probe: probe},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.questions = append(st.questions, q)
	wake(st.woken)
	return q
}

func (s *sites) withdraw(q *question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q.station.drop(q)
}

// drop is called with sites.mu held.
func (st *station) drop(q *question) {
	if i := slices.Index(st.questions, q); i >= 0 {
		st.questions = slices.Delete(st.questions, i, i+1)
		wake(st.woken)
	}
}

// checks is called with sites.mu held.
func (st *station) checks() (list []*cloudv1.PathCheck) {
	for _, q := range st.questions {
		list = append(list, q.check)
	}
	return list
}

var (
	errNoAnswer = errors.New("no answer in time")
	errGone     = errors.New("it has lost its connection")
)

// wait returns the answer; ctx bounds how long it takes. An answer that is there
// counts though the time is up: one silent machine takes all of it, and what the
// others have said would be lost.
func (q *question) wait(ctx context.Context) ([]mallee.Reach, []string, error) {
	var a *cloudv1.PathCheckAnswer
	var err error
	select {
	case a = <-q.answer:
	case <-q.station.gone:
		err = errGone
	case <-ctx.Done():
		err = errNoAnswer
	}
	if err != nil {
		select {
		case a = <-q.answer:
		default:
			return nil, nil, err
		}
	}
	if a.GetError() != "" {
		return nil, nil, errors.New(a.GetError())
	}
	return reachOf(a.GetReach()), a.GetWarnings(), nil
}

// answered takes an answer of the machine that was asked. Any other, and one that
// nobody waits for any more, is dropped.
func (s *sites) answered(role mallee.Role, name string, a *cloudv1.PathCheckAnswer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stations[memberID(role, name)]
	if st == nil {
		return
	}
	for _, q := range st.questions {
		if q.check.GetId() == a.GetId() {
			q.answer <- a
			st.drop(q)
			return
		}
	}
}

// AnswerPathCheck implements cloudv1.CloudServer.
func (c *Controller) AnswerPathCheck(ctx context.Context, a *cloudv1.PathCheckAnswer) (*cloudv1.ReportResponse, error) {
	id, err := rpc.Peer(ctx)
	if err != nil {
		return nil, err
	}
	if id.Role != rpc.NC && id.Role != rpc.SC {
		return nil, refuse("answer", mallee.Denied, id.Name, "this is for nodes and storage controllers, and not for role %q", id.Role)
	}
	c.sites.answered(id.Role, id.Name, a)
	return &cloudv1.ReportResponse{}, nil
}
